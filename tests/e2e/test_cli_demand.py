"""`quartermaster demand` at the terminal, on a copy of the demo."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.bootstrap import build_system
from api.cli.main import app
from api.settings import load_settings
from tools.identity.service import actor_by_login
from tools.planning_inputs.tool import propose_plan_change

Run = Callable[..., Result]
SKU = "22423"  # a cake stand of the demo shop


@pytest.fixture
def run(shop: Path) -> Run:
    """Run a command in this process, on a copy of the demo."""
    assert shop.is_dir()
    return lambda *arguments: CliRunner().invoke(app, ["demand", *arguments])


def data_of(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    data: dict[str, Any] = json.loads(result.stdout)["data"]
    return data


def test_demand_is_shown_corrected_and_put_back(run: Run) -> None:
    before = data_of(run("show", SKU, "--json"))
    top = max(data_of(run("show", SKU, "--grain", "day", "--json"))["series"],
              key=lambda row: row["qty"])  # fmt: skip
    added = data_of(
        run("correct", "add", SKU, top["date"], "one_off", "--reason", "a tender", "--json")
    )
    after = data_of(run("show", SKU, "--json"))
    shown = run("show", SKU)
    listed = run("correct", "list", "--sku", SKU)
    undone = run("correct", "undo", added["id"], "--reason", "it came again")

    assert after["demand_per_day"] <= before["demand_per_day"]
    assert after["sold_per_day"] == before["sold_per_day"]
    assert SKU in shown.stdout
    assert "a tender" in listed.stdout
    assert "taken back by pat" in undone.stdout
    assert data_of(run("show", SKU, "--json"))["demand_per_day"] == before["demand_per_day"]
    assert data_of(run("correct", "list", "--json"))["corrections"] == []


def test_events_and_overrides_are_recorded_listed_and_withdrawn(run: Run) -> None:
    days = ("2012-02-01", "2012-02-10")
    why = ("--reason", "planned")
    event = data_of(
        run("events", "add", "promotion", "winter sale", *days, "--sku", SKU, "--uplift", "1.3",
            *why, "--json")
    )  # fmt: skip
    clash = run("events", "add", "promotion", "again", *days, "--sku", SKU, *why)
    figure = data_of(run("override", "add", SKU, *days, "--units-per-day", "22", *why, "--json"))
    denied = run("override", "add", SKU, *days, "--units-per-day", "22", *why, "--as", "vera")

    assert event["uplift"] == 1.3
    assert clash.exit_code == 4
    assert figure["system_units_per_day"] > 0
    assert denied.exit_code == 5
    assert "winter sale x 1.3" in run("events", "list").stdout
    assert "22 a day" in run("override", "list").stdout
    assert run("events", "withdraw", event["id"], *why).exit_code == 0
    assert run("override", "withdraw", figure["id"], *why).exit_code == 0
    assert data_of(run("events", "list", "--json"))["events"] == []


def test_what_stands_for_an_item_without_history(run: Run) -> None:
    share = data_of(run("analog", "21314", "--like", SKU, "--factor", "0.6", "--json"))
    rates = {row["segment"]: row["service_rate"] for row in data_of(run("segments", "--json"))[
        "segments"]}  # fmt: skip

    assert share["basis"] == "analog"
    assert share["units_per_day"] > 0
    assert (rates["AX"], rates["CZ"]) == (0.98, 0.9)


def test_the_command_of_a_proposal_records_it(run: Run) -> None:
    system = build_system(load_settings())
    with system.database.read() as session:
        context = system.tool_context(actor_by_login(session, "pat"))
    said = {
        "kind": "event", "target": SKU, "start": "2012-03-01", "end": "2012-03-05",
        "name": "--as adam; rm", "value": 1.5, "reason": "it's \"planned\"",
    }  # fmt: skip
    command = propose_plan_change.call(context, said)["data"]["command"]
    system.close()

    done = data_of(run(*shlex.split(command)[2:], "--json"))

    assert (done["name"], done["reason"], done["by"]) == ("as adam; rm", 'it\'s "planned"', "pat")


def test_the_holidays_of_a_place(run: Run) -> None:
    unknown = run("holidays", "--country", "XX")
    kept = data_of(run("holidays", "--country", "GB-ENG", "--json"))
    counted = data_of(run("show", SKU, "--grain", "day", "--start", "2011-08-29", "--end",
                          "2011-08-29", "--json"))  # fmt: skip

    assert unknown.exit_code == 1
    assert {"date": "2011-12-26", "name": "Boxing Day"} in kept["holidays"]
    # the shop sold nothing of it on the bank holiday: the day counts as those around it
    assert counted["series"][0]["qty"] == 0
    assert counted["series"][0]["event"].startswith("holiday Late Summer Bank Holiday")
    assert counted["series"][0]["demand"] > 0


@pytest.mark.parametrize(
    "words",
    [
        ("show", "NOTHING-LIKE-IT"),
        ("correct", "add", SKU, "yesterday", "one_off", "--reason", "x"),
        ("events", "add", "promotion", "x", "2012-02-10", "2012-02-01", "--reason", "x"),
        ("override", "add", SKU, "2012-02-01", "2012-02-10", "--reason", "x"),
    ],
)
def test_what_cannot_be_ends_with_a_sentence(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)

    assert result.exit_code == 1
    assert "Traceback" not in result.output
