"""The description of the surface: committed, complete, with clean names."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.app import RestDoor, create_app, render_openapi
from api.bootstrap import build_system
from tests.factories_rest import settings_in

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestDoor]:
    system = build_system(settings_in(tmp_path_factory.mktemp("openapi")))
    yield create_app(system)
    system.close()


@pytest.fixture(scope="module")
def operations(app: RestDoor) -> dict[str, dict[str, Any]]:
    paths = app.openapi()["paths"]
    return {
        f"{method.upper()} {path}": operation
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_the_committed_description_is_the_apps(app: RestDoor) -> None:
    assert COMMITTED.read_text(encoding="utf-8") == render_openapi(app)


def test_every_operation_is_there(operations: dict[str, Any]) -> None:
    assert set(operations) == {
        "GET /healthz",
        "GET /readyz",
        "POST /v1/threads",
        "GET /v1/threads/{thread_id}/messages",
        "POST /v1/threads/{thread_id}/messages",
        "GET /v1/runs/{run_id}/events",
        "POST /v1/runs/{run_id}/cancel",
        "GET /v1/approvals",
        "GET /v1/approvals/{number}",
        "POST /v1/approvals/{number}/decisions",
        "GET /v1/items",
        "GET /v1/items/{sku}",
        "GET /v1/items/{sku}/forecast",
        "GET /v1/items/{sku}/chart.svg",
        "GET /v1/items/{sku}/forecast.svg",
        "GET /v1/items/{sku}/order.svg",
        "GET /v1/items/{sku}/explanation",
        "GET /v1/orders",
        "GET /v1/orders/{number}",
        "GET /v1/orders/{number}/shipment",
        "GET /v1/orders/{number}/receipts",
        "POST /v1/orders/{number}/receipts",
        "POST /v1/orders/{number}/receipts/{note}/reversal",
        "POST /v1/orders/{number}/returns",
        "GET /v1/orders/{number}/answers",
        "POST /v1/orders/{number}/answers",
        "POST /v1/orders/{number}/answers/{answer}/decision",
        "POST /v1/orders/{number}/close",
        "POST /v1/deliveries/{key}/settlement",
        "POST /v1/inbound/{source}",
        "GET /v1/recommendations",
        "GET /v1/exceptions",
        "GET /v1/kpis",
        "GET /v1/what-if",
        "GET /v1/demand/history/{sku}",
        "GET /v1/demand/corrections",
        "POST /v1/demand/corrections",
        "POST /v1/demand/corrections/{number}/undo",
        "GET /v1/demand/events",
        "POST /v1/demand/events",
        "POST /v1/demand/events/{number}/withdrawal",
        "GET /v1/demand/overrides",
        "POST /v1/demand/overrides",
        "POST /v1/demand/overrides/{number}/withdrawal",
        "POST /v1/session",
        "GET /v1/session",
        "DELETE /v1/session",
        "POST /v1/session/reauthenticate",
        "POST /v1/session/password",
        "POST /v1/session/confirm-link",
        "GET /v1/sessions",
        "DELETE /v1/sessions/{session_id}",
        "GET /v1/users",
        "POST /v1/users",
        "GET /v1/users/{login}",
        "PATCH /v1/users/{login}",
        "POST /v1/users/{login}/scopes",
        "DELETE /v1/users/{login}/scopes",
        "PUT /v1/users/{login}/password",
        "GET /v1/keys",
        "POST /v1/keys",
        "DELETE /v1/keys/{key_id}",
        "GET /v1/policy",
        "PUT /v1/policy",
        "PUT /v1/policy/dispatch",
    }


def test_names_are_clean_and_unique(operations: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations.values()]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)


def test_every_operation_says_what_it_does_and_shows_an_answer(
    operations: dict[str, Any],
) -> None:
    for name, operation in operations.items():
        assert operation["description"], name
        good = [value for code, value in operation["responses"].items() if code < "300"]
        assert all("example" in json.dumps(answer) for answer in good), name


def test_every_body_has_an_example(app: RestDoor, operations: dict[str, Any]) -> None:
    schemas = app.openapi()["components"]["schemas"]
    for name, operation in operations.items():
        if body := operation.get("requestBody"):
            reference = body["content"]["application/json"]["schema"]["$ref"]
            assert schemas[reference.rpartition("/")[2]]["examples"], name


def test_every_private_operation_tells_its_problems(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        if " /v1/" in name:
            # whoever signs in comes with a password only, a supplier's system with a signature
            is_public = name in ("POST /v1/session", "POST /v1/inbound/{source}")
            assert is_public or operation["security"], name
            for code in ("401", "422"):
                assert "application/problem+json" in operation["responses"][code]["content"], name
