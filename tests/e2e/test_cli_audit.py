"""The trail at the terminal: verified, anchored, shown, exported, tampered with by hand."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pypdf
import pytest
from typer.testing import CliRunner, Result

from api.bootstrap import build_system
from api.cli.main import app
from api.settings import load_settings
from tests.e2e.conftest import ROOT
from tools.identity import service as identity
from tools.purchasing.tool import draft_purchase_order, request_approval
from tools.replenishment.tool import recommend_orders


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def order(shop: Path) -> str:
    """An order that was drafted, approved and sent; and the trail is anchored."""
    assert shop.is_dir()
    number = _approval()
    approved = run("approve", number, "--version", "1", "--yes", "--as", "mona")
    assert approved.exit_code == 0, approved.output
    assert run("audit", "anchor").exit_code == 0
    listed = json.loads(run("audit", "show", number, "--json").stdout)["data"]["events"]
    assert [event["action"] for event in listed] == ["approval.approve"]
    return _order_of(number)


def _approval() -> str:
    system = build_system(load_settings())
    with system.database.read() as session:
        context = system.tool_context(identity.actor_by_login(session, "pat"))
    for line in recommend_orders.call(context, {"limit": 10})["data"]["lines"]:
        draft = draft_purchase_order.call(context, {"lines": [{"rec_id": line["rec_id"]}]})
        if draft["ok"]:
            asked = request_approval.call(context, {"po_id": draft["data"]["po_id"]})
            if asked["ok"]:
                system.close()
                return str(asked["data"]["approval_id"])
    raise AssertionError("nothing to draft in the demo")


def _order_of(approval: str) -> str:
    with sqlite3.connect(load_settings().data_dir / "quartermaster.db") as database:
        found = database.execute(
            "SELECT o.number FROM purchase_order o JOIN approval a ON a.order_id = o.id"
            " WHERE a.number = ?", (approval,),
        ).fetchone()  # fmt: skip
    return str(found[0])


def _by_hand(*statements: str) -> None:
    """What somebody with `sqlite3` and the file does."""
    with sqlite3.connect(load_settings().data_dir / "quartermaster.db") as database:
        for verb in ("update", "delete"):
            database.execute(f"DROP TRIGGER IF EXISTS audit_event_no_{verb}")
        for statement in statements:
            database.execute(statement)


def _standalone(trail: Path) -> subprocess.CompletedProcess[str]:
    folder = load_settings().data_dir
    keys = [part for key in folder.glob("audit.key*") for part in ("--key", str(key))]
    return subprocess.run(
        [sys.executable, "-I", str(ROOT / "docs/verify_trail.py"), str(trail), *keys, "--anchors",
         str(folder / "anchors.jsonl")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_verify_rotate_verify_tamper_verify(order: str) -> None:
    assert run("audit", "verify").exit_code == 0
    rotated = run("audit", "rotate-key", "--reason", "yearly")
    assert rotated.exit_code == 0, rotated.output
    again = run("audit", "verify")
    assert again.exit_code == 0
    assert "1 newer rows are not anchored yet" in again.output
    database = load_settings().data_dir / "quartermaster.db"
    assert _standalone(database).returncode == 0

    _by_hand("UPDATE audit_event SET actor = 'eve' WHERE seq = 3")

    broken = run("audit", "verify", "--json")
    report = json.loads(broken.stdout)["data"]
    assert (broken.exit_code, report["first_bad_seq"], report["ok"]) == (1, 3, False)
    assert "row 3 was changed" in _standalone(database).stdout
    assert order.startswith("PO-")


def test_a_cut_end_is_named_on_both_sides(order: str) -> None:
    assert order
    _by_hand("DELETE FROM audit_event WHERE seq > 3")

    result = run("audit", "verify")
    alone = _standalone(load_settings().data_dir / "quartermaster.db")

    assert result.exit_code == 1
    assert "the trail ends with row 3" in result.output
    assert (alone.returncode, "the trail ends with row 3" in alone.stdout) == (1, True)


class TestNobodyCanSay:
    def test_without_the_anchor_file_that_was_named(self, order: str, tmp_path: Path) -> None:
        assert order
        assert run("audit", "verify", "--anchors", str(tmp_path / "gone.jsonl")).exit_code == 2

    def test_without_the_key(self, order: str) -> None:
        assert order
        key = load_settings().audit_key_file
        key.rename(key.with_name("elsewhere"))

        assert run("audit", "verify").exit_code == 2

    def test_with_a_key_that_everybody_can_read(self, order: str) -> None:
        assert order
        load_settings().audit_key_file.chmod(0o644)

        result = run("audit", "verify")

        assert result.exit_code == 2
        assert "chmod 600" in result.output


class TestExport:
    def test_jsonl_is_what_the_verifier_takes(self, order: str, tmp_path: Path) -> None:
        assert order
        file = tmp_path / "trail.jsonl"

        assert run("audit", "export", "-o", str(file)).exit_code == 0

        assert file.read_bytes().isascii()
        verified = _standalone(file)
        assert verified.returncode == 0, verified.stdout
        file.write_text(file.read_text().replace('"mona"', '"eve"', 1))
        assert _standalone(file).returncode == 1

    def test_a_pdf_shows_who_signed_when_and_what_it_means(
        self, order: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "trail.pdf"
        assert run("audit", "rotate-key", "--reason", "naïve ≤ 5 €").exit_code == 0

        result = run("audit", "export", "--format", "pdf", "-o", str(file))

        assert result.exit_code == 0, result.output
        text = " ".join(page.extract_text() for page in pypdf.PdfReader(file).pages)
        assert order in text
        assert "Signed by Mona on 2011-12-09" in text
        assert "meaning: approval" in text
        assert "na\u00efve [U+2264] 5 [U+20AC]" in text
        assert "rows of the trail hold" in text
        assert "page 1" in text

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--from", "2031-01-01"], "no rows in this period"),
            (["--to", "1999-01-01"], "no rows in this period"),
            (["--from", "yesterday"], "is not a day"),
        ],
    )
    def test_a_period_without_rows_leaves_no_file(
        self, order: str, tmp_path: Path, arguments: list[str], said: str
    ) -> None:
        assert order
        file = tmp_path / "trail.jsonl"

        result = run("audit", "export", "-o", str(file), *arguments)

        assert result.exit_code == 1
        assert said in result.output
        assert not file.exists()

    def test_nothing_is_written_over(self, order: str, tmp_path: Path) -> None:
        assert order
        file = tmp_path / "trail.jsonl"
        file.write_text("mine")

        assert run("audit", "export", "-o", str(file)).exit_code == 1
        assert file.read_text() == "mine"


def test_an_order_is_shown_with_its_approval_and_its_delivery(order: str) -> None:
    shown = run("audit", "show", order)

    assert shown.exit_code == 0, shown.output
    for action in ("order.drafted", "approval.requested", "approval.approve", "order.sent"):
        assert action in shown.output
    assert "Signed by Mona on 2011-12-09" in shown.output
    unknown = run("audit", "show", "PO-9")
    assert (unknown.exit_code, "tells nothing of" in unknown.output) == (1, True)


def test_a_file_that_was_loaded_is_in_the_trail(shop: Path, tmp_path: Path) -> None:
    assert shop.is_dir()
    file = tmp_path / "items.csv"
    file.write_text("sku,name,uom\nNEW-1,Lamp,each\n")
    loaded = run("ingest", "items", str(file))
    assert loaded.exit_code == 0, loaded.output

    with sqlite3.connect(load_settings().data_dir / "quartermaster.db") as database:
        actor, after = database.execute(
            "SELECT actor, after FROM audit_event WHERE action = 'load.published'"
        ).fetchone()
    told = json.loads(after)
    assert (actor, told["kind"], told["file_name"], told["rows_good"]) == (
        "pat", "items", "items.csv", 1,
    )  # fmt: skip
    assert run("audit", "verify").exit_code == 0

    _by_hand("UPDATE load SET rows_good = 2 WHERE kind = 'items'")

    result = run("audit", "verify")
    assert result.exit_code == 1
    assert "rows_good is 2" in result.output


def test_the_page_on_part_11_claims_no_compliance() -> None:
    """Whether a use complies is for the validated process around it; software supports it."""
    page = (ROOT / "docs" / "part-11.md").read_text(encoding="utf-8").lower()

    assert "complian" not in page
    assert "supports" in page
    tests = {word.strip("`|, ") for word in page.split() if word.startswith("`tests/")}
    assert tests
    assert [test for test in sorted(tests) if not (ROOT / test).is_file()] == []
