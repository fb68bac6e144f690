"""The published byte format: product, golden vectors and the auditors' verifier agree."""

import hashlib
import importlib.util
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tools.audit.core.anchors import anchor_line, check_anchors, read_anchor
from tools.audit.core.chain import Entry, entry_bytes, entry_mac
from tools.audit.core.exporting import row_line, signature_line
from tools.audit.core.reading import as_stored, first_break, stored_bytes

DOCS = Path(__file__).parents[3] / "docs"
VECTORS = json.loads((DOCS / "audit-vectors.json").read_text(encoding="utf-8"))
KEYS = {key_id: bytes.fromhex(key) for key_id, key in VECTORS["keys"].items()}
Change = Callable[[list[str]], object]
ROWS = [vector["row"] for vector in VECTORS["rows"]]


def _entry(row: dict[str, Any]) -> Entry:
    fields = {name: row[name] for name in Entry.__dataclass_fields__}
    return Entry(**{**fields, "at": datetime.fromisoformat(row["at"])})


@pytest.fixture(scope="module")
def verifier() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_trail", DOCS / "verify_trail.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("vector", VECTORS["rows"], ids=lambda vector: str(vector["row"]["seq"]))
class TestRows:
    def test_the_product_covers_these_bytes(self, vector: dict[str, Any]) -> None:
        entry = _entry(vector["row"])

        assert entry_bytes(entry).hex() == vector["bytes"]
        assert entry_mac(KEYS[entry.key_id], entry) == vector["row"]["mac"]

    def test_so_does_its_short_way(self, vector: dict[str, Any]) -> None:
        entry = _entry(vector["row"])
        stored = tuple(as_stored(entry, vector["row"]["mac"]).values())

        covered = stored_bytes(stored)

        assert covered is None if entry.context is None else covered == entry_bytes(entry)

    def test_the_verifier_covers_them_too(
        self, verifier: ModuleType, vector: dict[str, Any]
    ) -> None:
        row = {**vector["row"], "at": datetime.fromisoformat(vector["row"]["at"])}

        assert verifier.row_bytes(row).hex() == vector["bytes"]


def test_the_chain_with_its_change_of_keys_holds() -> None:
    rows = [tuple(as_stored(_entry(row), row["mac"]).values()) for row in ROWS]

    assert first_break(rows, KEYS) is None


def test_the_anchors_hold_and_are_made_the_same() -> None:
    lines = [vector["line"] for vector in VECTORS["anchors"]]

    moored, broken = check_anchors(lines, KEYS)

    assert broken is None
    assert {seq: anchor.mac for seq, anchor in moored.items()} == {
        2: ROWS[1]["mac"], 4: ROWS[3]["mac"],
    }  # fmt: skip
    for line in lines:
        anchor = read_anchor(line)
        assert anchor_line(KEYS[anchor.key_id], anchor) == line


def test_a_row_of_the_first_version_never_passes_for_one_of_the_second() -> None:
    entry = _entry(ROWS[0])
    later = Entry(**{**vars(entry), "context": {}})

    assert entry_mac(KEYS[entry.key_id], entry) != entry_mac(KEYS[entry.key_id], later)


class TestVerifier:
    """The file that auditors get, on an export."""

    def _files(self, folder: Path, change: Change = lambda _lines: None) -> list[str]:

        lines = [row_line(_entry(row), row["mac"]) for row in ROWS]
        body = "".join(f"{line}\n" for line in lines)
        head = {
            "format": "quartermaster/audit-export/v1", "first_seq": 1, "last_seq": 4, "count": 4,
            "prev_mac": "0" * 64, "sha256": hashlib.sha256(body.encode()).hexdigest(),
        }  # fmt: skip
        change(lines)
        trail = folder / "trail.jsonl"
        trail.write_text("\n".join([json.dumps(head), *lines]) + "\n")
        anchors = folder / "anchors.jsonl"
        anchors.write_text("".join(f"{vector['line']}\n" for vector in VECTORS["anchors"]))
        arguments = [str(trail), "--anchors", str(anchors)]
        for key_id, key in KEYS.items():
            path = folder / f"audit.key.{key_id}"
            path.write_bytes(key)
            arguments += ["--key", str(path)]
        return arguments

    def test_it_imports_nothing_of_ours(self) -> None:
        source = (DOCS / "verify_trail.py").read_text(encoding="utf-8")

        imported = {line.split()[1] for line in source.splitlines()
                    if line.startswith(("import ", "from "))}  # fmt: skip

        assert imported == {"argparse", "hashlib", "hmac", "json", "sqlite3", "sys", "datetime"}

    def test_a_whole_trail(
        self, verifier: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert verifier.main(self._files(tmp_path)) == 0
        assert capsys.readouterr().out == "rows 1 to 4 hold; 2 of them were anchored\n"

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (
                lambda lines: lines.__setitem__(1, lines[1].replace("mona", "eve")),
                "row 2 was changed",
            ),
            (lambda lines: lines.pop(1), "row 2 is missing"),
            (lambda lines: lines.pop(), "ends with row 3"),
            (lambda lines: lines.__setitem__(2, "{"), "row 3 cannot be read"),
            (lambda lines: lines.insert(0, lines.pop(1)), "row 1 is missing"),
        ],
        ids=["edit", "delete", "cut", "garble", "swap"],
    )
    def test_a_broken_one(
        self, verifier: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        change: Change, said: str,
    ) -> None:  # fmt: skip
        assert verifier.main(self._files(tmp_path, change)) == 1
        assert said in capsys.readouterr().out

    def test_without_a_key_nobody_can_say(
        self, verifier: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = self._files(tmp_path)[:-2]

        assert verifier.main(arguments) == 2
        assert "CANNOT CHECK" in capsys.readouterr().out


def test_a_signature_names_person_time_and_meaning() -> None:
    at = datetime.fromisoformat("2026-03-02T10:05:00+01:00")

    assert signature_line("Mona", at, "approval") == (
        "Signed by Mona on 2026-03-02 09:05:00 UTC, meaning: approval"
    )
