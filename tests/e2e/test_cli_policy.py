"""`quartermaster policy` and `dispatch`, and what a refusal at the terminal leaves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select
from typer.testing import CliRunner, Result

from api.bootstrap import build_system
from api.cli.main import app
from api.settings import load_settings
from db.models.audit import AuditEvent
from tools.identity.service import actor_by_login
from tools.purchasing.tool import draft_purchase_order, request_approval
from tools.replenishment.tool import recommend_orders

Run = Callable[..., Result]


@pytest.fixture
def run(shop: Path) -> Run:
    """Run a command in this process, on a copy of the demo."""
    assert shop.is_dir()
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def _data(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    data: dict[str, Any] = json.loads(result.stdout)["data"]
    return data


def _asked() -> str:
    """Draft what the plan recommends and ask; returns the request's number."""
    system = build_system(load_settings())
    with system.database.read() as session:
        context = system.tool_context(actor_by_login(session, "pat"))
    for line in recommend_orders.call(context, {"limit": 10})["data"]["lines"]:
        drafted = draft_purchase_order.call(context, {"lines": [{"rec_id": line["rec_id"]}]})
        if drafted["ok"]:
            asked = request_approval.call(context, {"po_id": drafted["data"]["po_id"]})
            if asked["ok"]:
                system.close()
                return str(asked["data"]["approval_id"])
    raise AssertionError("nothing to ask for in the demo")


def test_a_policy_is_exported_changed_compared_and_put_in_force(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    assert run("policy", "export", str(file)).exit_code == 0
    text = file.read_text(encoding="utf-8")
    assert text == run("policy", "show").stdout
    file.write_text(text.replace('two_person_above: "50000"', 'two_person_above: "900"'))

    assert run("policy", "check", str(file)).exit_code == 0
    (change,) = _data(run("policy", "diff", str(file), "--json"))["changes"]
    denied = run("policy", "set", str(file), "--reason", "more eyes", "--as", "mona")
    done = _data(run("policy", "set", str(file), "--reason", "more eyes", "--as", "adam", "--json"))
    again = run("policy", "export", str(file))

    assert change == {"field": "approval.two_person_above", "before": "50000", "after": "900"}
    assert (denied.exit_code, again.exit_code) == (5, 1)
    assert (done["author"], done["reason"]) == ("adam", "more eyes")
    versions = _data(run("policy", "history", "--json"))["versions"]
    assert versions[0]["version"] == done["version"]


def test_a_wrong_policy_names_line_and_field(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(run("policy", "show").stdout.replace('"50000"', "50000"))

    result = run("policy", "check", str(file), "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["details"]["field"] == "approval.two_person_above"


def test_dispatch_is_stopped_by_a_manager_and_started_by_an_admin(run: Run) -> None:
    assert run("dispatch", "stop", "--reason", "x", "--as", "pat").exit_code == 5
    assert run("dispatch", "stop", "--reason", "wrong prices", "--as", "mona").exit_code == 0
    assert "wrong prices" in run("dispatch", "status").stdout
    assert run("dispatch", "start", "--reason", "x", "--as", "mona").exit_code == 5
    started = _data(run("dispatch", "start", "--reason", "right now", "--as", "adam", "--json"))
    assert started["dispatch_enabled"] is True


def test_a_refused_approval_is_in_the_trail(run: Run) -> None:
    number = _asked()

    result = run("approve", number, "--yes", "--version", "1", "--as", "vera", "--json")

    assert result.exit_code == 5
    assert json.loads(result.stdout)["details"]["rule"] == "role"
    system = build_system(load_settings())
    with system.database.read() as session:
        (row,) = session.exec(
            select(AuditEvent).where(AuditEvent.action == "approval.refused")
        ).all()
        assert (row.actor, row.object_id, row.after["rule"]) == ("vera", number, "role")
    system.close()
