"""Reading over HTTP: the tools' numbers, pages, keys, health."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi.encoders import jsonable_encoder

from agent.toolbox import all_tools
from tests.conftest import NOW
from tests.factories import make_item
from tests.factories_rest import Door, actor_of, eventually, make_template, open_door
from tools.clock import FixedClock
from tools.identity.service import create_api_key, revoke_api_key


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("rest")
    template = make_template(folder / "world")
    with open_door(template, folder / "data") as opened:
        with opened.system.database.write() as session:
            for number in range(5):
                make_item(session, f"BOLT-{number}", f"Steel bolt {number}")
            make_item(session, "NUT/7", "Nut seven")
        yield opened


class TestItems:
    def test_a_position_is_the_tools_position(self, door: Door) -> None:
        shown = door.as_("vera").get("/v1/items/WIDGET-A").json()

        (tool,) = (tool for tool in all_tools() if tool.name == "get_stock_position")
        asked = tool.call(door.system.tool_context(actor_of(door, "vera")), {"sku": "WIDGET-A"})
        assert shown["position"] == asked["data"]
        assert shown["position"]["inventory_position"] == 840  # 620 - 80 + 300
        assert shown["policy"]["reorder_point"] == 1244  # 900 + 1.645 sqrt(9*20^2 + 100^2*2^2)

    def test_an_item_without_a_forecast_still_shows_its_position(self, door: Door) -> None:
        response = door.as_("vera").get("/v1/items/BOLT-1")

        assert response.status_code == 200, response.text
        assert response.json()["policy"] is None
        assert response.json()["warnings"]

    def test_a_sku_with_a_slash(self, door: Door) -> None:
        assert door.as_("vera").get("/v1/items/NUT%2F7").json()["position"]["sku"] == "NUT/7"

    def test_an_unknown_sku(self, door: Door) -> None:
        response = door.as_("vera").get("/v1/items/WIDGET-Z9")

        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"

    def test_an_ambiguous_name_lists_the_candidates(self, door: Door) -> None:
        response = door.as_("vera").get("/v1/items/steel bolt")

        assert response.status_code == 422
        assert response.json()["code"] == "ambiguous"
        assert len(response.json()["details"]["matches"]) >= 2

    def test_a_forecast(self, door: Door) -> None:
        response = door.as_("vera").get("/v1/items/WIDGET-A/forecast?horizon_days=14")

        assert response.status_code == 200, response.text
        assert response.json()["data"]["cumulative_mean"] == 1400  # 14 days x 100

    @pytest.mark.parametrize("query", ["horizon_days=0", "level=NaN", "level=inf", "level=2"])
    def test_impossible_forecasts(self, door: Door, query: str) -> None:
        response = door.as_("vera").get(f"/v1/items/WIDGET-A/forecast?{query}")

        assert response.status_code == 422

    def test_pages_join_without_gap_or_repeat(self, door: Door) -> None:
        client = door.as_("vera")
        found: list[str] = []
        url = "/v1/items?limit=3"
        while url:
            response = client.get(url)
            found += [item["sku"] for item in response.json()["items"]]
            url = response.headers.get("link", "").partition(";")[0].strip("<>")

        assert found == ["BOLT-0", "BOLT-1", "BOLT-2", "BOLT-3", "BOLT-4", "NUT/7", "WIDGET-A"]

    @pytest.mark.parametrize("query", ["limit=201", "limit=0", "cursor=!!!", "cursor=WzFd"])
    def test_bad_pages(self, door: Door, query: str) -> None:
        assert door.as_("vera").get(f"/v1/items?{query}").status_code == 422

    def test_nul_characters_are_refused(self, door: Door) -> None:
        assert door.as_("vera").get("/v1/items/A%00B").status_code == 400
        assert door.as_("vera").get("/v1/orders?sku=%00").status_code == 400


class TestOrders:
    def test_the_list_and_one(self, door: Door) -> None:
        client = door.as_("vera")

        listed = client.get("/v1/orders", params={"supplier": "Acme"}).json()
        order = client.get("/v1/orders/PO-1042").json()

        assert [row["po_id"] for row in listed["data"]["orders"]] == ["PO-1042"]
        assert (order["total"], order["lines"][0]["open"]) == ("2400.00", 300)  # 300 x 8.00

    @pytest.mark.parametrize(("status", "count"), [("confirmed", 1), ("draft", 0)])
    def test_the_list_by_state(self, door: Door, status: str, count: int) -> None:
        response = door.as_("vera").get("/v1/orders", params={"status": status})

        assert response.status_code == 200, response.text
        assert response.json()["data"]["total"] == count

    def test_an_unknown_order(self, door: Door) -> None:
        assert door.as_("vera").get("/v1/orders/PO-9").status_code == 404

    def test_an_unknown_state(self, door: Door) -> None:
        assert door.as_("vera").get("/v1/orders?status=lost").status_code == 422


class TestOverview:
    @pytest.mark.parametrize(
        ("path", "tool", "arguments", "key"),
        [
            ("/v1/recommendations?limit=3", "recommend_orders", {"limit": 3}, "lines"),
            ("/v1/exceptions?type=late_po", "list_exceptions", {"types": ["late_po"]}, "counts"),
            ("/v1/kpis?window_days=30", "get_kpis", {"window_days": 30}, "kpis"),
            ("/v1/orders/PO-1042/shipment", "check_shipment", {"po_id": "PO-1042"}, "events"),
        ],
    )  # fmt: skip
    def test_says_what_the_tool_says(
        self, door: Door, path: str, tool: str, arguments: dict[str, object], key: str
    ) -> None:
        response = door.as_("vera").get(path)

        (asked,) = (known for known in all_tools() if known.name == tool)
        answer = asked.call(door.system.tool_context(actor_of(door, "vera")), arguments)
        assert response.status_code == 200, response.text
        assert response.json()["data"] == jsonable_encoder(answer["data"])
        assert key in response.json()["data"]

    @pytest.mark.parametrize("path", ["/v1/exceptions?type=x", "/v1/kpis?window_days=1"])
    def test_impossible_questions(self, door: Door, path: str) -> None:
        assert door.as_("vera").get(path).status_code == 422


class TestKeys:
    @pytest.mark.parametrize(
        "header",
        [
            "", "Bearer", "Bearer x", "Basic cGF1bDpwYXVs", "Bearer qm_live_x_y",
            "Bearer qm_live_" + "0" * 12 + "_" + "0" * 64, "Bearer qm_live_é_1",
        ],
    )  # fmt: skip
    def test_what_is_no_key_is_refused(self, door: Door, header: str) -> None:
        headers = {b"Authorization": header.encode()} if header else {}

        response = door.as_(None).get("/v1/items", headers=headers)

        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.headers["content-type"] == "application/problem+json"

    def test_a_wrong_secret_is_refused(self, door: Door) -> None:
        key = door.keys["mona"]

        wrong = key[:-1] + ("0" if key[-1] != "0" else "1")

        assert door.as_(None, key=wrong).get("/v1/items").status_code == 401

    def test_expired_and_revoked_keys_are_refused(self, door: Door) -> None:
        clock = FixedClock(NOW)
        with door.system.database.write() as session:
            old = create_api_key(
                session,
                "paul",
                label="old",
                clock=FixedClock(NOW - timedelta(days=1)),
                expires_at=NOW - timedelta(seconds=1),
            )
            gone = create_api_key(session, "paul", label="gone", clock=clock)
            revoke_api_key(session, gone.split("_")[2], clock=clock, by=actor_of(door, "adam"))

        assert door.as_(None, key=old).get("/v1/items").status_code == 401
        assert door.as_(None, key=gone).get("/v1/items").status_code == 401


def test_no_key_is_stored_in_clear(door: Door) -> None:
    key = door.keys["mona"]
    assert door.as_("mona").get("/v1/items").status_code == 200

    folder = door.system.settings.data_dir
    stored = b"".join(path.read_bytes() for path in folder.glob("*.db*"))

    assert stored
    assert key.rpartition("_")[2].encode() not in stored


class TestHealth:
    def test_needs_no_key(self, door: Door) -> None:
        client = door.as_(None)

        assert client.get("/healthz").json() == {"status": "ok"}
        ready = eventually(lambda: _ok(client.get("/readyz")))
        parts = ("database", "migrations", "disk", "worker")
        assert ready.json()["checks"] == dict.fromkeys(parts, "ok")

    def test_everything_else_does(self, door: Door) -> None:
        description = door.as_(None).get("/openapi.json").json()

        for path, operations in description["paths"].items():
            for method in operations:
                # signing in takes a password, a supplier's system a signature
                is_own = path == "/v1/session" and method == "post"
                if path.startswith("/v1") and not is_own and not path.startswith("/v1/inbound"):
                    url = path.replace("{", "").replace("}", "")
                    response = door.as_(None).request(method.upper(), url, json={})
                    assert response.status_code == 401, (method, path)


def _ok(response: object) -> object:
    return response if getattr(response, "status_code", 0) == 200 else None
