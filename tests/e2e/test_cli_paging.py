"""What planner and operator read in lists: pages, stale drafts, bookings, and the ways out."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.bootstrap import build_system
from api.cli.doctor import is_safe
from api.cli.identity import approver_of
from api.cli.main import app
from api.settings import load_settings
from tests.e2e.test_cli_policy import _asked
from tools.identity.service import actor_by_login
from tools.purchasing.service.revising import Change, revise

Run = Callable[..., Result]


@pytest.fixture
def run(shop: Path) -> Run:
    """Run a command in this process, on a copy of the demo."""
    assert shop.is_dir()
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_orders_are_paged_and_the_last_page_names_no_next_one(run: Run) -> None:
    every = json.loads(run("orders", "--all", "--json").stdout)["data"]["orders"]
    seen: list[str] = []
    after: list[str] = []
    while True:
        page = json.loads(run("orders", "--limit", "4", *after, "--json").stdout)["data"]
        seen += [one["po_id"] for one in page["orders"]]
        if not page["after"]:
            break
        after = ["--after", page["after"]]

    assert seen == [one["po_id"] for one in every]
    assert len(seen) > 4
    assert f"quartermaster orders --after {seen[3]}" in run("orders", "--limit", "4").stdout


def test_an_unknown_state_is_wrong_usage_and_the_states_are_named(run: Run) -> None:
    refused = run("orders", "--state", "nonsense")
    assert refused.exit_code == 2
    assert "--state" in refused.output
    assert "short_closed" in refused.output


def test_another_way_of_delivery_names_the_orders_that_become_stale(run: Run) -> None:
    _asked()
    orders = json.loads(run("orders", "--json").stdout)["data"]["orders"]
    (waiting,) = [one for one in orders if one["state"] == "pending_approval"]
    suppliers = json.loads(run("suppliers", "list", "--json").stdout)["data"]["suppliers"]
    code = next(one["code"] for one in suppliers if one["name"] == waiting["supplier"])

    told = run("suppliers", "set-delivery", code, "email", "x@y.example", "--as", "adam")

    assert "(pdf, csv)" in told.stdout
    assert f"refresh {waiting['po_id']}" in told.stderr
    changed = json.loads(run("orders", "--json").stdout)["data"]["orders"]
    assert [one["next_action"] for one in changed if one["po_id"] == waiting["po_id"]] == [
        "refresh it first"
    ]

    system = build_system(load_settings())
    with system.database.write() as session:
        nothing: list[Change] = []
        revise(
            session, number=waiting["po_id"], changes=nothing, clock=system.clock,
            company=system.company, actor=actor_by_login(session, "pat"),
        )  # fmt: skip
    system.close()
    fresh = json.loads(run("orders", "--json").stdout)["data"]["orders"]
    assert "refresh it first" not in [one["next_action"] for one in fresh]


def test_the_named_approver_is_somebody_who_may(run: Run) -> None:
    number = _asked()
    system = build_system(load_settings())
    found = approver_of(system, load_settings(), number)
    assert found is not None
    away = run("users", "add-scope", found, "supplier", "FENWICK", "--as", "adam")
    assert away.exit_code == 0, away.output
    another = approver_of(system, load_settings(), number)
    system.close()

    assert found != "pat"
    assert another not in (None, "pat", found)


def test_what_was_booked_and_what_goes_back_is_said(run: Run) -> None:
    orders = json.loads(run("orders", "--all", "--json").stdout)["data"]["orders"]
    number = next(one["po_id"] for one in orders if one["state"] == "confirmed")
    lines = json.loads(run("receive", number, "--note", "LS-1", "--as", "pat", "--json").stdout)
    line = lines["data"]["lines"][0]

    back = run(
        "receipts", "return", number, f"{line['sku']}=1", "--note", "RN-1", "--reason", "broken",
        "--as", "pat",
    )  # fmt: skip
    shown = run("receipts", "list", number).stdout

    assert f"1 of {line['sku']} go back with note RN-1." in back.stdout
    assert "note LS-1, by pat" in shown
    assert "went back" in shown
    assert line["sku"] in shown


def test_a_file_that_is_there_is_overwritten_only_when_told(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("mine")
    refused = run("policy", "export", str(file))
    assert (refused.exit_code, file.read_text()) == (1, "mine")
    assert "--force overwrites it" in refused.stderr
    assert run("policy", "export", str(file), "--force").exit_code == 0
    assert file.read_text() != "mine"


def test_a_readable_file_of_senders_is_refused_before_serving(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    senders = tmp_path / "inbound.yaml"
    senders.write_text("{}")
    senders.chmod(0o644)
    monkeypatch.setenv("QM_INBOUND_FILE", str(senders))
    refused = run("serve")
    assert refused.exit_code == 1
    assert "Serving" not in refused.output
    assert f"chmod 600 {senders}" in refused.stderr.splitlines()


def test_sqlite_versions_with_the_repair_are_safe() -> None:
    safe, unsafe = [(3, 44, 6), (3, 50, 7), (3, 51, 3)], [(3, 44, 5), (3, 50, 6), (3, 51, 2)]
    assert all(is_safe(one) for one in safe)
    assert not any(is_safe(one) for one in unsafe)
