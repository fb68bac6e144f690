"""Requests made from the description, by the thousand: no status 5xx, and every answer described.

`QM_TEST_FUZZ_EXAMPLES` raises the number of requests for each operation; `make soak` does.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from tests.factories_rest import Door, make_template, open_door, request_order

EXAMPLES = int(os.environ.get("QM_TEST_FUZZ_EXAMPLES", "12"))  # noqa: TID251
PEOPLE = ("paul", "mona", "adam", "vera")
OPEN_ENDED = {"stream_run"}  # a stream of a run that nobody answers does not end by itself
AT_THE_GATE = {400, 408, 413}
UNLIMITED: dict[str, Any] = {
    "requests_per_minute": 0, "address_requests_per_minute": 0, "messages_per_minute": 0,
    "message_characters_per_minute": 0, "sign_ins_per_minute": 0, "login_attempts": 1_000,
}  # fmt: skip


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("fuzz")
    template = make_template(folder / "world")
    with open_door(template, folder / "data", **UNLIMITED) as opened:
        request_order(opened)
        yield opened


def _operations(description: dict[str, Any]) -> list[Any]:
    schema = schemathesis.openapi.from_dict(description)
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return [one for one in found if one.definition.raw["operationId"] not in OPEN_ENDED]


@dataclass
class Findings:
    """What came back."""

    broken: list[str] = field(default_factory=list)
    surprising: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)

    @staticmethod
    def _is_described(operation: Any, status: int) -> bool:
        """What the gate refuses before there is a route is the "default" of each operation."""
        described = operation.definition.raw["responses"]
        return str(status) in described or (status in AT_THE_GATE and "default" in described)

    def note(self, operation: Any, login: str, answer: httpx2.Response) -> None:
        self.statuses[answer.status_code] += 1
        said = f"{operation.label} {login}: {answer.status_code} {answer.text[:200]}"
        if answer.status_code >= 500:
            self.broken.append(said)
        elif not self._is_described(operation, answer.status_code):
            self.surprising.add(said)


def test_no_request_breaks_the_server_or_surprises_the_reader(door: Door) -> None:
    description = door.as_(None).get("/openapi.json").json()
    clients = {login: door.as_(login) for login in PEOPLE}
    found = Findings()

    for operation in _operations(description):
        _fuzz(operation, clients, found)

    assert found.broken == []
    assert found.surprising == set()
    assert found.statuses.keys() >= {200, 403, 404, 422}  # it got past the door


def _fuzz(operation: Any, clients: Mapping[str, httpx2.Client], found: Findings) -> None:
    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[hypothesis.Phase.generate],
    )  # fmt: skip
    @hypothesis.given(case=operation.as_strategy(), login=st.sampled_from(PEOPLE))
    def send(case: Any, login: str) -> None:
        answer = _sent(clients[login], case)
        if answer is not None:
            found.note(operation, login, answer)

    send()


def _sent(client: httpx2.Client, case: Any) -> httpx2.Response | None:
    """Send a case as it is, or not at all where HTTP itself has no way to say it."""
    made = case.as_transport_kwargs(base_url=str(client.base_url))
    headers = {
        str(name): str(value)
        for name, value in (made.get("headers") or {}).items()
        if name.lower()
        not in ("authorization", "content-length", "transfer-encoding", "user-agent")
    }
    try:
        request = client.build_request(
            made["method"], made["url"], params=made.get("params"), headers=headers,
            json=made.get("json"), content=made.get("data"), cookies=made.get("cookies"),
        )  # fmt: skip
        return client.send(request)
    except (UnicodeEncodeError, httpx2.InvalidURL, httpx2.LocalProtocolError, ValueError):
        return None


# What JSON libraries, databases and people choke on.
VALUES = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e308", "1" + "0" * 400,
    "9223372036854775808",
    "-1", "0.1", "true", "null", "[]", "{}", '""', '"\\u0000"', '"\\ud800"', '"\\udfff\\ud800"',
    '"\\u202e\\u200b"', '"' + "x" * 20_000 + '"', "[" * 5_000 + "]" * 5_000,
    '{"a":' * 3_000 + "1" + "}" * 3_000, '"\'; DROP TABLE item; --"', '"../../../etc/passwd"',
)  # fmt: skip
TEXTS = (
    "'; DROP TABLE item; --", "../../../etc/passwd", "%00", "%ed%a0%80", "%ff%fe", "\u202eabc",
    "x" * 300, "x" * 5_000, "NaN", "1e999", "-1", "99999999999999999999", "\u0663",
    "CON", "{{7*7}}",
    "a" * 50 + "\u0301" * 200, "%2e%2e%2f", "..%5c..", "<script>", "$(id)",
)  # fmt: skip
_ALLOWED = range(200, 500)


def _paths(door: Door) -> Iterator[tuple[str, str, dict[str, Any]]]:
    description = door.as_(None).get("/openapi.json").json()
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            if operation["operationId"] not in OPEN_ENDED:
                yield method.upper(), path, operation


def test_absurd_values_are_refused_everywhere(door: Door) -> None:
    """Each member of each body in turn, and the body as a whole; nothing is echoed."""
    schemas = door.as_(None).get("/openapi.json").json()["components"]["schemas"]
    adam, wrong = door.as_("adam"), []
    for method, path, operation in _paths(door):
        if "requestBody" not in operation:
            continue
        kind = next(iter(operation["requestBody"]["content"]))
        schema = operation["requestBody"]["content"][kind].get("schema", {})
        members = schemas.get(schema.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
        bodies = [*VALUES, *(f'{{"{name}": {value}}}' for name in members for value in VALUES)]
        for index, body in enumerate(bodies):
            answer = adam.request(
                method, _filled(path, "1"), content=body.encode(),
                headers={"Content-Type": "application/json", "Idempotency-Key": f"k{index}{path}"},
            )  # fmt: skip
            if answer.status_code not in _ALLOWED:
                wrong.append(f"{method} {path} {body[:60]}: {answer.status_code}")

    assert wrong == []


def test_absurd_texts_in_addresses_are_refused_everywhere(door: Door) -> None:
    adam, wrong = door.as_("adam"), []
    for method, path, operation in _paths(door):
        named = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
        for text in TEXTS:
            urls = [_filled(path, text)] if "{" in path else []
            urls += [f"{_filled(path, '1')}?{name}={text}" for name in named]
            for url in urls:
                answer = adam.request(method, url, headers={"Idempotency-Key": "k"})
                body = answer.text.lower()
                if answer.status_code not in _ALLOWED or "sqlalchemy" in body or "select " in body:
                    wrong.append(f"{method} {url[:80]}: {answer.status_code}")

    assert wrong == []


def _filled(path: str, text: str) -> str:
    return re.sub(r"\{[^}]+\}", lambda _found: text, path)
