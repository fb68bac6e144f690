"""What-if over REST and in the terminal: the numbers of the chat's tool."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent.toolbox import all_tools
from api.cli.main import app
from tests.factories_rest import Door, actor_of, make_template, open_door


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder: Path = tmp_path_factory.mktemp("whatif")
    with open_door(make_template(folder / "world"), folder / "data") as opened:
        yield opened


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["what-if", *arguments])


class TestRest:
    """GET /v1/what-if."""

    def test_says_what_the_chat_says(self, door: Door) -> None:
        query: dict[str, str | int] = {
            "sku": "widget-a", "demand_change_pct": 40, "horizon_days": 30,
        }  # fmt: skip

        shown = door.as_("vera").get("/v1/what-if", params=query).json()

        (tool,) = (tool for tool in all_tools() if tool.name == "simulate_scenario")
        asked = tool.call(
            door.system.tool_context(actor_of(door, "vera")),
            {"sku": "WIDGET-A", "demand_change_pct": 40.0, "horizon_days": 30},
        )
        assert shown["data"] == asked["data"]
        assert shown["data"]["scenario"]["reorder_point"] == 1741  # DOMAIN T7
        assert shown["data"]["simulation"]["delta"]["stockout_days"] > 0
        assert "nothing was changed" in shown["warnings"]

    def test_everything_at_once(self, door: Door) -> None:
        query = {"everything": True, "supply_delay_days": 7}

        shown = door.as_("vera").get("/v1/what-if", params=query).json()

        assert shown["data"]["items"] == 1
        assert shown["data"]["changes"]["supply_delay_days"] == 7

    @pytest.mark.parametrize(
        ("query", "status", "words"),
        [
            ({}, 422, "got none"),
            ({"sku": "WIDGET-A", "category": "widgets"}, 422, "sku and category"),
            ({"sku": "NO-SUCH"}, 404, "NO-SUCH"),
            ({"sku": "WIDGET-A", "demand_change_pct": 5000}, 422, "demand_change_pct"),
            ({"sku": "WIDGET-A", "start": "soon"}, 422, "start"),
            ({"sku": "WIDGET-A", "end": "2020-01-01"}, 422, "2020-01-01"),
        ],
    )
    def test_problems_name_the_value(
        self, door: Door, query: dict[str, object], status: int, words: str
    ) -> None:
        response = door.as_("vera").get("/v1/what-if", params=query)  # type: ignore[arg-type]

        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert words in response.text

    def test_needs_a_key(self, door: Door) -> None:
        assert door.as_(None).get("/v1/what-if", params={"everything": True}).status_code == 401


class TestTerminal:
    """quartermaster what-if."""

    def test_shows_both_sides_and_who_is_hit_hardest(self, shop: Path) -> None:
        assert shop.is_dir()

        result = _run("--all", "--demand", "+40%", "--horizon", "30")

        assert result.exit_code == 0, result.output
        for words in ("What if: demand +40 %.", "stock-out days", "fill rate", "Hit hardest",
                      "If it came unplanned", "seed 2026"):  # fmt: skip
            assert words in result.stdout
        assert "nothing was changed" in result.stderr

    def test_one_item_shows_its_plan_too(self, shop: Path) -> None:
        assert shop.is_dir()

        result = _run("22423", "--late", "7", "--price", "+5%", "--moq", "240", "--horizon", "30")

        assert result.exit_code == 0, result.output
        said = "open orders 7 days later, purchase price +5 %, minimum order 240."
        assert said in result.stdout
        assert "reorder point" in result.stdout

    def test_prints_data_for_machines(self, shop: Path) -> None:
        assert shop.is_dir()

        result = _run("--category", "toys", "--lead-time", "7", "--horizon", "30", "--json")

        data = json.loads(result.stdout)["data"]
        assert data["scope"]["category"] == "toys"
        assert data["items"] > 10
        delta, sides = data["simulation"]["delta"], data["simulation"]
        assert delta["stockout_days"] == pytest.approx(
            sides["scenario"]["stockout_days"] - sides["baseline"]["stockout_days"], abs=0.01
        )
        assert delta["stockout_days"] > 0

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ((), "got none"),
            (("22423", "--demand", "much"), "'much'"),
            (("22423", "--service-level", "98"), "98"),
            (("--category", "hats"), "'toys'"),
            (("22423", "--horizon", "900"), "900"),
        ],
    )
    def test_errors_are_sentences(self, shop: Path, arguments: tuple[str, ...], words: str) -> None:
        assert shop.is_dir()

        result = _run(*arguments)

        assert result.exit_code == 1
        assert words in result.stderr
        assert "Traceback" not in result.output
