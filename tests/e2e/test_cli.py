"""Every command, through the door that people use."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from api.bootstrap import build_system
from api.cli.identity import administrator, terminal_actor
from api.cli.main import app
from api.settings import load_settings
from tests.e2e.conftest import ROOT
from tools.errors import Forbidden, InvalidInput, NotAuthenticated
from tools.identity import service as identity
from tools.purchasing.tool import draft_purchase_order, request_approval
from tools.replenishment.tool import recommend_orders

Run = Callable[..., Result]


@pytest.fixture
def run(shop: Path) -> Run:
    """Run a command in this process, on a copy of the demo."""
    assert shop.is_dir()
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.fixture
def pending(shop: Path) -> dict[str, Any]:
    """A fresh request for approval that needs a manager."""
    assert shop.is_dir()
    system = build_system(load_settings())
    with system.database.read() as session:
        pat = identity.actor_by_login(session, "pat")
    context = system.tool_context(pat)
    lines = recommend_orders.call(context, {"limit": 10})["data"]["lines"]
    for line in lines:
        draft = draft_purchase_order.call(context, {"lines": [{"rec_id": line["rec_id"]}]})
        if draft["ok"]:
            order = draft["data"]["po_id"]
            asked = request_approval.call(context, {"po_id": order})
            if not asked["ok"]:
                continue
            system.close()
            return {**asked["data"], "line": draft["data"]["lines"][0]}
    raise AssertionError("nothing to draft in the demo")


def parsed(result: Result) -> Any:
    """The JSON that a command printed."""
    return json.loads(result.stdout)


class TestLooking:
    def test_today_shows_the_morning_list(self, run: Run) -> None:
        result = run("today")

        assert result.exit_code == 0, result.output
        assert "Friday 9 December 2011" in result.stdout
        assert "items need nothing" in result.stdout

    def test_today_prints_the_same_figures_for_machines(self, run: Run) -> None:
        data = parsed(run("today", "--json", "--limit", "3"))

        lines = data["recommendations"]["data"]["lines"]
        assert len(lines) == 3
        assert lines[0]["sku"] in run("today").stdout

    def test_an_item_shows_why_its_quantity(self, run: Run) -> None:
        sku = parsed(run("today", "--json"))["recommendations"]["data"]["lines"][0]["sku"]

        result = run("item", sku.lower())

        assert result.exit_code == 0, result.output
        assert "= order" in result.stdout
        assert "reorder point" in result.stdout

    def test_an_items_terms_add_up(self, run: Run) -> None:
        sku = parsed(run("today", "--json"))["recommendations"]["data"]["lines"][0]["sku"]

        advice = parsed(run("item", sku, "--json"))["recommendation"]["data"]

        assert sum(term["value"] for term in advice["waterfall"]) == advice["quantity"]

    def test_an_unknown_item_is_an_error_with_a_next_step(self, run: Run) -> None:
        result = run("item", "NO-SUCH-THING")

        assert result.exit_code == 1
        assert "NO-SUCH-THING" in result.stderr
        assert "Traceback" not in result.output

    def test_an_unknown_item_is_json_for_machines(self, run: Run) -> None:
        result = run("item", "NO-SUCH-THING", "--json")

        assert result.exit_code == 1
        assert parsed(result)["error"] == "not_found"

    def test_orders_lists_the_delivered_one(self, run: Run) -> None:
        assert "PO-2001" in run("orders").stdout
        states = {
            order["po_id"]: order["state"]
            for order in parsed(run("orders", "--json"))["data"]["orders"]
        }
        assert states["PO-2001"] == "sent"

    def test_a_person_nobody_knows_is_refused(self, run: Run) -> None:
        result = run("today", "--as", "zoe")

        assert result.exit_code == 1
        assert "'zoe'" in result.stderr


class TestDeciding:
    def test_a_manager_approves_what_she_read_and_it_is_delivered(
        self, run: Run, pending: dict[str, Any], shop: Path
    ) -> None:
        number, version = pending["approval_id"], str(pending["version"])

        result = run("approve", number, "--version", version, "--yes", "--as", "mona")

        assert result.exit_code == 0, result.output
        assert (shop / "outgoing" / f"{pending['po_id']}-r1.json").is_file()
        assert str(shop / "outgoing" / f"{pending['po_id']}-r1.json") in result.stdout.replace(
            "\n", ""
        )

    def test_json_tells_where_the_order_is(self, run: Run, pending: dict[str, Any]) -> None:
        version = str(pending["version"])

        data = parsed(
            run(
                "approve",
                pending["approval_id"],
                "--version",
                version,
                "--yes",
                "--as",
                "mona",
                "--json",
            )
        )

        assert data["data"]["po_id"] == pending["po_id"]
        assert data["data"]["deliveries"][0]["reference"] == f"{pending['po_id']}-r1.json"

    @pytest.mark.parametrize("options", [(), ("--yes",), ("--version", "1")])
    def test_a_script_must_say_which_version_it_read(
        self, run: Run, pending: dict[str, Any], options: tuple[str, ...]
    ) -> None:
        result = run("approve", pending["approval_id"], "--as", "mona", *options)

        assert result.exit_code == 2
        assert "--version" in result.output

    def test_another_version_is_stale(self, run: Run, pending: dict[str, Any]) -> None:
        result = run("approve", pending["approval_id"], "--version", "99", "--yes", "--as", "mona")

        assert result.exit_code == 4
        assert "99" in result.stderr

    def test_a_second_approval_is_refused(self, run: Run, pending: dict[str, Any]) -> None:
        arguments = ("approve", pending["approval_id"], "--version", "1", "--yes", "--as", "mona")
        assert run(*arguments).exit_code == 0

        again = run(*arguments)

        assert again.exit_code == 4
        assert "already approved by mona" in again.stderr.lower()

    def test_a_viewer_may_not_approve(self, run: Run, pending: dict[str, Any], shop: Path) -> None:
        result = run("approve", pending["approval_id"], "--version", "1", "--yes", "--as", "vera")

        assert result.exit_code == 5
        assert not (shop / "outgoing" / f"{pending['po_id']}-r1.json").exists()

    def test_a_rejected_order_does_not_leave(
        self, run: Run, pending: dict[str, Any], shop: Path
    ) -> None:
        result = run(
            "reject", pending["approval_id"], "--version", "1", "--as", "mona",
            "--reason", "too much stock before the holidays",
        )  # fmt: skip

        assert result.exit_code == 0, result.output
        assert not (shop / "outgoing" / f"{pending['po_id']}-r1.json").exists()
        listed = parsed(run("approvals", "--json", "--state", "rejected"))["data"]["approvals"]
        assert [row["id"] for row in listed] == [pending["approval_id"]]

    def test_the_waiting_request_is_listed(self, run: Run, pending: dict[str, Any]) -> None:
        result = run("approvals")

        assert pending["approval_id"] in result.stdout
        assert pending["po_id"] in result.stdout


def at_a_terminal(answers: str, *arguments: str, data_dir: Path) -> tuple[int, str]:
    """Run a command on a pseudo-terminal, type the answers, return exit code and screen."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli.main", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "QM_DATA_DIR": str(data_dir), "TERM": "dumb"},
        stdin=follower, stdout=follower, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    os.write(leader, answers.encode())
    screen = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # the other side hung up
            break
        if not piece:
            break
        screen += piece
    os.close(leader)
    return process.wait(timeout=30), screen.decode(errors="replace")


class TestThePrompt:
    def test_enter_is_no(self, pending: dict[str, Any], shop: Path) -> None:
        code, screen = at_a_terminal(
            "\n", "approve", pending["approval_id"], "--as", "mona", data_dir=shop
        )

        assert code == 3, screen
        assert "still waits" in screen
        assert not (shop / "outgoing" / f"{pending['po_id']}-r1.json").exists()

    def test_why_then_yes(self, pending: dict[str, Any], shop: Path) -> None:
        code, screen = at_a_terminal(
            "w\ny\n", "approve", pending["approval_id"], "--as", "mona", data_dir=shop
        )

        assert code == 0, screen
        assert (shop / "outgoing" / f"{pending['po_id']}-r1.json").is_file()

    def test_an_edit_is_asked_again_with_its_total(
        self, pending: dict[str, Any], shop: Path
    ) -> None:
        one_more = pending["line"]["quantity"] + pending["line"]["pack_units"]
        code, screen = at_a_terminal(
            f"e\n{one_more}\ny\n", "approve", pending["approval_id"], "--as", "mona", data_dir=shop
        )

        assert code == 0, screen
        order = json.loads((shop / "outgoing" / f"{pending['po_id']}-r2.json").read_text())
        assert order["lines"][0]["units"] == one_more


class TestOperating:
    def test_a_good_file_loads_once(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "sales.csv"
        file.write_text("sku,date,quantity\n22423,2011-12-08,5\n")

        first, again = run("ingest", "sales", str(file)), run("ingest", "sales", str(file))

        assert first.exit_code == 0, first.output
        assert "1 good" in first.stdout
        assert again.exit_code == 0
        assert "Already loaded" in again.stdout

    def test_bad_rows_are_named(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "sales.csv"
        file.write_text("sku,date,quantity\n22423,2011-12-08,5\n22423,2011-12-07,ten\n")

        report = parsed(run("ingest", "sales", str(file), "--json"))["data"]

        assert (report["rows_good"], report["rows_bad"]) == (1, 1)
        assert (
            report["quarantine"][0]["row_number"] == 3 or report["quarantine"][0]["row_number"] == 2
        )

    def test_a_missing_file_is_an_error(self, run: Run, tmp_path: Path) -> None:
        result = run("ingest", "sales", str(tmp_path / "nothing.csv"))

        assert result.exit_code == 1
        assert "nothing.csv" in result.stderr

    def test_a_mapping_must_name_field_and_column(self, run: Run, tmp_path: Path) -> None:
        result = run("ingest", "sales", str(tmp_path / "x.csv"), "--map", "quantity")

        assert result.exit_code == 2

    def test_nothing_is_due_after_the_demo(self, run: Run) -> None:
        assert parsed(run("deliver", "--json"))["data"] == {"deliveries": []}

    def test_the_trail_is_whole(self, run: Run) -> None:
        result = run("audit", "verify")

        assert result.exit_code == 0
        assert "whole" in result.stdout

    def test_a_touched_trail_is_found(self, run: Run, shop: Path) -> None:
        import sqlite3

        with sqlite3.connect(shop / "quartermaster.db") as connection:
            connection.execute("DROP TRIGGER audit_event_no_update")
            connection.execute("UPDATE audit_event SET actor = 'nobody' WHERE seq = 1")

        result = run("audit", "verify", "--json")

        assert result.exit_code == 1
        assert parsed(result)["data"]["first_bad_seq"] == 1

    def test_the_doctor_finds_a_healthy_demo(self, run: Run) -> None:
        result = run("doctor", "--json")

        assert result.exit_code == 0, result.output
        levels = {check["name"]: check["level"] for check in parsed(result)["data"]["checks"]}
        assert levels["schema"] == levels["contents"] == levels["forecasts"] == "ok"

    def test_the_doctor_names_an_unknown_setting(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("QM_DATA_DIRR", "x")

        result = run("doctor")

        assert result.exit_code == 1
        assert "QM_DATA_DIRR" in result.stdout

    def test_the_doctor_makes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("QM_DATA_DIR", str(tmp_path / "none"))

        result = CliRunner().invoke(app, ["doctor"])

        assert result.exit_code == 0
        assert not (tmp_path / "none").exists()

    def test_a_key_is_shown_once_and_can_be_revoked(self, run: Run) -> None:
        key = run("keys", "create", "mona").stdout.strip()

        assert key.startswith("qm_live_")
        assert run("keys", "revoke", key.split("_")[2]).exit_code == 0


class TestWho:
    def test_the_key_says_who_and_nobody_speaks_for_another(self, run: Run) -> None:
        key = run("keys", "create", "mona").stdout.strip()
        system = build_system(load_settings())
        with_key: Any = SimpleNamespace(api_key=SecretStr(key), user="pat")

        assert terminal_actor(system, with_key, None).login == "mona"
        with pytest.raises(InvalidInput, match="'pat'"):
            terminal_actor(system, with_key, "pat")
        with pytest.raises(Forbidden, match="administrator"):
            administrator(system, with_key, None)
        system.close()

    def test_a_shared_database_wants_a_key(self, shop: Path) -> None:
        assert shop.is_dir()
        system = build_system(load_settings())
        system.database.is_sqlite = False

        with pytest.raises(NotAuthenticated, match="shared"):
            terminal_actor(system, system.settings, "mona")
        system.close()

    def test_the_card_names_somebody_who_may(self, shop: Path) -> None:
        said = CliRunner().invoke(app, ["chat"], input="draft 2400 of 85099B\nyes\n").stdout

        assert shop.is_dir()
        assert re.search(r"quartermaster approve a-\d+ --as (mona|anna)", said), said


class TestChatting:
    def test_a_pipe_is_answered_line_by_line(self, shop: Path) -> None:
        assert shop.is_dir()

        result = CliRunner().invoke(app, ["chat"], input="what needs ordering today?\n/quit\n")

        assert result.exit_code == 0, result.output
        assert "recommend orders" in result.stdout

    def test_help_and_unknown_commands_do_not_reach_the_agent(self, shop: Path) -> None:
        assert shop.is_dir()

        result = CliRunner().invoke(app, ["chat"], input="/help\n/nonsense\n/approvals\n")

        assert result.exit_code == 0, result.output
        assert "'/nonsense'" in result.stderr


def test_without_a_database_the_demo_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QM_DATA_DIR", str(tmp_path / "none"))

    result = CliRunner().invoke(app, ["today"])

    assert result.exit_code == 1
    assert "quartermaster demo" in result.stderr
    assert not (tmp_path / "none").exists()


class TestSupply:
    def test_an_answer_and_a_delivery_are_booked(self, run: Run) -> None:
        # PO-1043 went to the supplier the day before and waits for an answer
        answered = run("confirm", "PO-1043", "--promise", "2011-12-20")
        part = run("receive", "PO-1043", "--note", "DN-7", "--json")
        again = run("receive", "PO-1043")

        assert "is confirmed" in answered.stdout, answered.output
        assert parsed(part)["data"]["state"] == "received"
        assert all(line["open"] == 0 for line in parsed(part)["data"]["lines"])
        assert again.exit_code == 4
        assert "othing of 'PO-1043' is open" in again.stderr

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["receive", "PO-1042", "22423=abc"], "SKU=UNITS"),
            (["receive", "PO-9"], "There is no order 'PO-9'"),
            (["confirm", "PO-1042", "--promise", "soon"], "2026-03-06"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, run: Run, arguments: list[str], said: str
    ) -> None:
        result = run(*arguments)

        assert result.exit_code == 1
        assert said in result.stderr

    def test_a_rate_is_recorded(self, run: Run) -> None:
        assert "1 EUR is 0.86 GBP" in run("rate", "eur", "0.86").stdout
        assert run("rate", "eur", "much").exit_code == 1

    def test_only_a_stuck_delivery_is_settled(self, run: Run) -> None:
        nothing = run("settle", "PO-1042", "--answer", "delivered", "--reason", "asked them")

        assert nothing.exit_code == 4
        assert "is dead or in doubt" in nothing.stderr
        assert run("settle", "PO-1042", "--answer", "maybe", "--reason", "x").exit_code == 2
