"""Pictures and explanations over HTTP: whose they are, what they may load, what they say."""

import base64
import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import numpy as np
import pytest
from sqlmodel import select

from db.models.planning import Forecast
from db.types import ScopeKind
from tests.factories import TODAY, make_item
from tests.factories_rest import Door, actor_of, make_template, open_door
from tools.forecasting.core.components import component_rows
from tools.people.service import access


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("pictures")
    template = make_template(folder / "world")
    with open_door(template, folder / "data") as opened:
        with opened.system.database.write() as session:
            forecast = session.exec(select(Forecast)).one()
            (forecast.components,) = component_rows(
                np.full((1, 60), 90.0), np.full((1, 60), 100.0), period_days=1, first_on=TODAY
            )
            session.add(forecast)
            make_item(session, "NUT/7", "Nut seven", category="care")
            access.add_scope(
                session, "pia", ScopeKind.CATEGORY, "care", clock=opened.clock,
                by=actor_of(opened, "adam"),
            )  # fmt: skip
        yield opened


@pytest.mark.parametrize("name", ["chart", "forecast", "order"])
class TestPictures:
    def test_is_an_svg_whose_own_sheet_is_all_it_may_use(self, door: Door, name: str) -> None:
        response = door.as_("vera").get(f"/v1/items/WIDGET-A/{name}.svg")

        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "image/svg+xml"
        assert ET.fromstring(response.text).get("role") == "img"
        (sheet,) = re.findall(r"<style>(.*?)</style>", response.text)
        digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
        policy = response.headers["content-security-policy"]
        assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
        assert response.headers["cache-control"] == "no-store"

    def test_is_not_for_strangers(self, door: Door, name: str) -> None:
        assert door.as_(None).get(f"/v1/items/WIDGET-A/{name}.svg").status_code == 401

    def test_is_not_there_for_who_works_with_other_categories(self, door: Door, name: str) -> None:
        assert door.as_("pia").get(f"/v1/items/WIDGET-A/{name}.svg").status_code == 404

    def test_an_unknown_item(self, door: Door, name: str) -> None:
        response = door.as_("vera").get(f"/v1/items/WIDGET-Z9/{name}.svg")

        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"


class TestChart:
    def test_says_when_stock_runs_out(self, door: Door) -> None:
        text = door.as_("vera").get("/v1/items/WIDGET-A/chart.svg").text

        assert "The reorder point is 1,244. PO-1042 brings 300 on 6 Mar 2026." in text
        assert "Without a new order stock runs out on 10 Mar 2026." in text

    @pytest.mark.parametrize("days", [0, 13, 92, "x"])
    def test_impossible_horizons(self, door: Door, days: object) -> None:
        response = door.as_("vera").get(
            "/v1/items/WIDGET-A/chart.svg", params={"horizon_days": str(days)}
        )
        assert response.status_code == 422

    def test_an_item_without_sales_or_forecast(self, door: Door) -> None:
        response = door.as_("vera").get("/v1/items/NUT%2F7/chart.svg")

        assert response.status_code == 422
        assert response.json()["code"] == "insufficient_data"


class TestExplanation:
    def test_its_sums_add_up(self, door: Door) -> None:
        shown = door.as_("vera").get("/v1/items/WIDGET-A/explanation").json()

        for part, total in (("order", 1920), ("forecast", 100)):
            assert shown[part]["total"] == total
            assert sum(term["value"] for term in shown[part]["terms"]) == total
        assert shown["why"][0] == "100 a day over 28 days: level 90, shift +10."
        assert shown["missing"] == []

    def test_the_table_is_that_of_the_picture(self, door: Door) -> None:
        shown = door.as_("vera").get("/v1/items/WIDGET-A/explanation").json()

        rows = [row for row in shown["chart"]["rows"] if row[0] == "stock at the end of"]
        assert rows[8][:3] == ["stock at the end of", "2026-03-10", -60.0]
