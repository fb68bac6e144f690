"""Whatever a route shows, it shows a scoped person nothing of others' orders."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.types import ScopeKind
from tests.factories_rest import Door, actor_of, make_template, open_door, request_order
from tools.people.service import access

FOREIGN = "PO-2001"  # of ACME, drafted below
NOT_OF_ORDERS = {  # read no order, item or place of the house
    "/healthz", "/readyz", "/metrics", "/v1/policy", "/v1/session", "/v1/sessions", "/v1/users",
    "/v1/users/{login}", "/v1/keys", "/v1/kpis", "/v1/threads/{thread_id}/messages",
    "/v1/runs/{run_id}/events", "/v1/audit",
    "/v1/what-if",  # answers a question only: see test_whatif_doors
}  # fmt: skip
OF_ONE = {"number": FOREIGN, "sku": "WIDGET-A"}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder: Path = tmp_path_factory.mktemp("scope")
    with open_door(make_template(folder / "world"), folder / "data") as opened:
        request_order(opened)
        with opened.system.database.write() as session:
            access.add_scope(
                session, "pia", ScopeKind.SUPPLIER, "BOREALIS", clock=opened.clock,
                by=actor_of(opened, "adam"),
            )  # fmt: skip
        yield opened


def test_no_route_that_reads_shows_what_is_outside(door: Door) -> None:
    pia, mona = door.as_("pia"), door.as_("mona")
    spec = mona.get("/openapi.json").json()["paths"]
    routes = {path for path, methods in spec.items() if "get" in methods} - NOT_OF_ORDERS
    assert len(routes) >= 10

    for path in sorted(routes):
        one = OF_ONE | ({"number": "a-31"} if "/approvals/" in path else {})
        url = path.format(**one)
        for query in ({}, {"after": "PO-9999"}) if path == "/v1/orders" else ({},):
            seen = pia.get(url, params=query)
            shown = mona.get(url, params=query)
            assert shown.status_code in {200, 404, 422}, url  # 422: nothing was sold yet
            if "{number}" in path:
                assert seen.status_code == 404, (url, seen.text)
            asked = {value for name, value in one.items() if f"{{{name}}}" in path}
            text = seen.text.replace(f"such as {FOREIGN}", "")  # an example of a number
            told = {number for number in (FOREIGN, "a-31") if number in text}
            assert not told - asked, (url, seen.text)
