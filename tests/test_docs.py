"""The documents themselves: their commands run, their transcripts are what the program prints.

A ``console`` block holds ``$ command`` lines, each followed by its output; a line ``...`` stands
for any lines. ``quartermaster`` commands run in order in one directory where the demo is loaded;
``make`` commands must be targets. A ``transcript`` block must be printed by ``quartermaster demo``;
a ``console own`` block runs in an empty directory with small files of an own company, a ``console
drill`` block after the others, in a shell.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent


@dataclass
class Step:
    """One command of a document and the output it promises."""

    command: str
    expected: list[str] = field(default_factory=list)


def _blocks(document: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def _steps(document: Path, kind: str = "console") -> list[Step]:
    steps: list[Step] = []
    for block in _blocks(document, kind):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append(Step(line[2:]))
            elif steps:
                steps[-1].expected.append(line.rstrip())
    return steps


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{BIN}{os.pathsep}/usr/bin{os.pathsep}/bin",
        "HOME": str(folder),
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }
    return subprocess.run(
        shlex.split(command), cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A directory in which ``quartermaster demo`` has run, and what it printed."""
    folder = tmp_path_factory.mktemp("newcomer")
    finished = _run("quartermaster demo", folder)
    assert finished.returncode == 0, finished.stdout
    return folder, finished.stdout


def _matches(expected: list[str], printed: list[str]) -> bool:
    """Whether the lines occur in order; without a ``...`` they must be the whole output."""
    wanted = [line for line in expected if line.strip()]
    got: Iterator[str] = (line.rstrip() for line in printed if line.strip())
    if "..." not in wanted:
        return wanted == list(got)
    return all(line == "..." or any(line == other for other in got) for line in wanted)


def test_every_command_of_the_documents_works(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for step in [step for document in DOCUMENTS for step in _steps(document)]:
        word = shlex.split(step.command, comments=True)
        if word[0] == "make":
            assert len(word) == 1 or word[1] in targets, step.command
        elif word[0] == "quartermaster":
            finished = _run(step.command.split("  #")[0], folder)
            assert finished.returncode == 0, f"{step.command}\n{finished.stdout}"
            printed = finished.stdout.splitlines()
            if step.expected:
                assert _matches(step.expected, printed), f"{step.command}\n{finished.stdout}"


def test_the_drill_of_a_restore_works(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    steps = _steps(ROOT / "docs" / "operations.md", "console drill")

    assert len(steps) > 5
    for step in steps:
        finished = _run(f"bash -c {shlex.quote(step.command)}", folder)
        assert finished.returncode == 0, f"{step.command}\n{finished.stdout}"
        if step.expected:
            assert _matches(step.expected, finished.stdout.splitlines()), finished.stdout


def _own_files(folder: Path) -> None:
    """Files as a company might have them: three months of one item, its supplier, an order."""
    days = [f"2026-0{month}-{day:02d}" for month in (1, 2, 3) for day in range(1, 29)]
    sales = [f"{day},M-1,{5 + number % 3},R{number}" for number, day in enumerate(days)]
    files = {
        "items.csv": ["sku,name,cost,price", "M-1,Blue mug,2.10,4.50"],
        "suppliers.csv": [
            "supplier,name,sku,price,moq,lead time", "POT,Potters Ltd,M-1,2.10,24,10",
        ],
        "stock.csv": ["sku,on hand", "M-1,40"],
        "sales.csv": ["date,sku,qty,order", *sales],
        "open_orders.csv": [
            "po,supplier,sku,qty,price,order date,due", "X-1,POT,M-1,24,2.10,2026-03-20,2026-04-02",
        ],
    }  # fmt: skip
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n")


def test_the_way_to_own_data_works(tmp_path: Path) -> None:
    _own_files(tmp_path)
    steps = _steps(ROOT / "README.md", "console own")

    assert len(steps) > 8
    for step in steps:
        finished = _run(step.command.split("  #")[0], tmp_path)
        assert finished.returncode == 0, f"{step.command}\n{finished.stdout}"
        assert "set aside." not in finished.stdout.replace("0 set aside", "")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())

    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_transcript_of_the_readme_is_what_the_program_prints(demo: tuple[Path, str]) -> None:
    _, printed = demo
    blocks = _blocks(ROOT / "README.md", "transcript")

    assert blocks
    for block in blocks:
        assert _matches(["...", *block.splitlines()], printed.splitlines()), printed


def test_the_tests_that_the_readme_names_exist() -> None:
    named = set(re.findall(r"`(?:[a-z0-9]+/)?(test_[a-z_]+)`", (ROOT / "README.md").read_text()))

    assert named
    assert named <= {path.stem for path in (ROOT / "tests").rglob("test_*.py")}


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()

    pages = [page for page in DOCUMENTS if page.parent.name == "docs"]
    assert [page.name for page in pages if f"(docs/{page.name})" not in readme] == []
