"""Problem documents: a status, a sentence, and nothing of what was sent."""

import json
import tempfile
from contextlib import ExitStack, closing
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Body, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.testclient import TestClient

from api import problems
from api.gate import Gate
from api.limits import Meter
from api.settings import Settings
from db.postgres import Waiting
from db.session import Database
from tools.errors import (
    Ambiguous,
    ApprovalRequired,
    ExternalError,
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    QuartermasterError,
    Stale,
)


def _busy() -> None:
    with ExitStack() as opened:
        url = f"sqlite:///{opened.enter_context(tempfile.TemporaryDirectory())}/busy.db"
        impatient = Waiting(lock_timeout_s=0.001)
        for _ in range(2):
            database = opened.enter_context(closing(Database(url, waiting=impatient)))
            opened.enter_context(database.write()).execute(text("SELECT 1"))


def _no_table() -> None:
    with closing(Database("sqlite://")) as empty, empty.read() as session:
        session.execute(text("SELECT secret FROM canary"))


def _no_server() -> None:
    create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing").connect()


def _full_pool() -> None:
    raise PoolTimeout("QueuePool limit")


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    problems.install(app)
    settings = Settings(allowed_hosts=("stock.example.org",), max_body_bytes=2000)
    app.add_middleware(Gate, settings=settings, meter=Meter(settings))

    @app.get("/stale")
    def stale() -> None:
        raise Stale("changed", next_step="Read again.", details={"current_version": 3})

    @app.get("/key")
    def key() -> None:
        raise NotAuthenticated("no key")

    @app.get("/bug")
    def bug() -> None:
        raise ZeroDivisionError("canary")

    for fail in (_busy, _no_table, _no_server, _full_pool):
        app.get(f"/{fail.__name__}")(fail)

    @app.post("/count")
    def count(units: Annotated[int, Body(embed=True, ge=1)]) -> dict[str, int]:
        return {"units": units}

    return TestClient(app, base_url="http://127.0.0.1")


def _is_problem(response: httpx2.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == problems.MEDIA_TYPE
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["type"] == problems.TYPE_PREFIX + body["code"]
    return body


class TestDatabase:
    @pytest.mark.parametrize("path", ["/_busy", "/_no_server", "/_full_pool"])
    def test_a_busy_or_absent_database_is_a_matter_of_time(
        self, client: TestClient, path: str
    ) -> None:
        response = client.get(path)

        body = _is_problem(response, 503)
        assert (body["code"], response.headers["Retry-After"]) == ("unavailable", "2")
        assert "127.0.0.1" not in body["detail"]

    def test_any_other_failure_of_it_is_a_bug(self, client: TestClient) -> None:
        body = _is_problem(client.get("/_no_table"), 500)

        assert "canary" not in str(body)


class TestExpectedErrors:
    def test_carry_code_next_step_and_details(self, client: TestClient) -> None:
        body = _is_problem(client.get("/stale", headers={"X-Request-ID": "r-1"}), 409)

        assert body["code"] == "stale"
        assert body["detail"] == "changed"
        assert body["next"] == "Read again."
        assert body["details"] == {"current_version": 3}
        assert body["instance"] == "/stale"
        assert body["request_id"] == "r-1"

    def test_a_missing_key_names_the_scheme(self, client: TestClient) -> None:
        response = client.get("/key")

        _is_problem(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize(
        ("kind", "status"),
        [
            (InvalidInput, 422), (Ambiguous, 422), (NotFound, 404), (Stale, 409),
            (Forbidden, 403), (ApprovalRequired, 403), (NotAuthenticated, 401),
            (ExternalError, 502),
        ],
    )  # fmt: skip
    def test_a_tools_answer_becomes_the_error_it_was(
        self, kind: type[QuartermasterError], status: int
    ) -> None:
        envelope = {
            "ok": False, "error": kind.code, "message": "m", "next": "n", "details": {"a": 1},
        }  # fmt: skip

        error = problems.error_of(envelope)

        assert type(error) is kind
        assert (error.message, error.next_step, error.details) == ("m", "n", {"a": 1})
        assert problems.status_of(kind.code) == status


class TestInvalidRequests:
    def test_say_where_but_do_not_echo(self, client: TestClient) -> None:
        response = client.post("/count", json={"units": "canary"})

        body = _is_problem(response, 422)
        assert body["errors"][0]["in"] == "body"
        assert body["errors"][0]["pointer"] == "/units"
        assert "canary" not in response.text

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_numbers_that_are_not_json_are_refused(self, client: TestClient, number: str) -> None:
        response = client.post(
            "/count", content=f'{{"units": {number}}}', headers={"Content-Type": "application/json"}
        )

        _is_problem(response, 422)

    def test_broken_json_is_refused(self, client: TestClient) -> None:
        response = client.post(
            "/count", content='{"units": canary', headers={"Content-Type": "application/json"}
        )

        assert _is_problem(response, 422)["errors"][0]["detail"] == "is not valid JSON"
        assert "canary" not in response.text

    def test_a_body_of_another_type_is_refused(self, client: TestClient) -> None:
        response = client.post(
            "/count", content='{"units": 1}', headers={"Content-Type": "text/plain"}
        )

        _is_problem(response, 422)

    def test_deep_json_is_refused(self, client: TestClient) -> None:
        response = client.post(
            "/count", content="[" * 1900, headers={"Content-Type": "application/json"}
        )

        assert response.status_code in (400, 422)
        assert response.headers["content-type"] == problems.MEDIA_TYPE


class TestGate:
    def test_a_bug_is_an_incident_number_and_one_log_entry(
        self, client: TestClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        body = _is_problem(client.get("/bug"), 500)

        assert body["incident"] in body["detail"]
        assert "canary" not in json.dumps(body)
        (record,) = [entry for entry in caplog.records if entry.levelname == "ERROR"]
        assert record.exc_info is not None
        assert getattr(record, "incident", None) == body["incident"]

    def test_a_body_that_says_it_is_too_large_is_not_read(self, client: TestClient) -> None:
        response = client.post("/count", json={"units": 1, "padding": "x" * 3000})

        _is_problem(response, 413)

    def test_a_body_of_unknown_length_is_cut_off(self, client: TestClient) -> None:
        chunks = iter([b'{"units": 1, "x": "', b"y" * 3000, b'"}'])
        response = client.post(
            "/count", content=chunks, headers={"Content-Type": "application/json"}
        )

        _is_problem(response, 413)

    @pytest.mark.parametrize(
        ("host", "status"),
        [
            ("127.0.0.1:8321", 409), ("localhost", 409), ("[::1]:8321", 409),
            ("stock.example.org", 409), ("evil.example", 400), ("127.0.0.1.evil.example", 400),
            ("", 400),
        ],
    )  # fmt: skip
    def test_only_known_host_names_are_served(
        self, client: TestClient, host: str, status: int
    ) -> None:
        _is_problem(client.get("/stale", headers={"Host": host}), status)

    def test_answers_carry_the_security_headers(self, client: TestClient) -> None:
        headers = client.post("/count", json={"units": 1}).headers

        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"

    def test_a_request_id_that_could_forge_a_log_line_is_replaced(self, client: TestClient) -> None:
        response = client.get("/stale", headers={"X-Request-ID": "a b;c"})

        assert response.headers["x-request-id"] == response.json()["request_id"] != "a b;c"

    def test_an_unknown_path_and_method_are_problems(self, client: TestClient) -> None:
        assert _is_problem(client.get("/nowhere"), 404)["code"] == "not_found"
        assert _is_problem(client.get("/count"), 405)["code"] == "method_not_allowed"
