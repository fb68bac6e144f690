"""Rules about the code itself that no linter has."""

import ast
import re
import subprocess
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from agent.toolbox import all_tools
from tools import errors
from tools.wrapping import Tool

ROOT = Path(__file__).parent.parent
FOLDERS = ("agent", "tools", "api", "db", "evals")
GENERATED = ROOT / "db" / "migrations" / "versions"


def _sources() -> list[Path]:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in files if not path.is_relative_to(GENERATED))


def _tracked() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("name", FOLDERS)
def test_no_other_distribution_claims_our_top_level_name(name: str) -> None:
    claimants = set(packages_distributions().get(name, [])) - {"quartermaster"}

    assert not claimants, f"{claimants} also install a top-level {name!r} package"


def test_files_stay_readable_in_one_sitting() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in _sources()}

    too_long = {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > 400}

    assert not too_long


def _code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    length = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


def test_functions_stay_short() -> None:
    too_long = []
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _code_lines(node) > 40:
                too_long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")

    assert not too_long


def test_areas_hold_only_the_standard_modules() -> None:
    allowed = {"__init__", "core", "service", "gateway", "tool"}
    strangers = [
        str(path.relative_to(ROOT))
        for area in (ROOT / "tools").iterdir()
        if area.is_dir() and area.name != "__pycache__"
        for path in area.iterdir()
        if path.stem not in allowed and path.name != "__pycache__" and path.suffix != ".yaml"
    ]

    assert not strangers


def test_package_markers_are_empty() -> None:
    assert [path for path in _sources() if path.name == "__init__.py" and path.read_text()] == []


def _tree(error: type[Exception]) -> set[type[Exception]]:
    return {error}.union(*(_tree(child) for child in error.__subclasses__()))


def test_every_error_of_ours_is_drawn_in_the_tree() -> None:
    drawn = errors.__doc__ or ""

    ours = {
        kind for kind in _tree(errors.QuartermasterError) if not kind.__module__.startswith("tests")
    }

    assert {kind.__name__ for kind in ours if kind.__name__ not in drawn} == set()
    assert {kind.__module__ for kind in ours} == {"tools.errors"}


@pytest.mark.parametrize("tool", all_tools(), ids=lambda tool: tool.name)
def test_every_tool_says_what_it_does_and_what_it_takes(tool: Tool) -> None:
    schema = tool.schema()["function"]

    assert tool.effect in ("read", "draft")
    assert len(schema["description"]) > 20
    for name, argument in schema["parameters"].get("properties", {}).items():
        assert argument.get("description"), f"{tool.name}.{name} lacks a description"


def test_no_tool_can_execute() -> None:
    forbidden = re.compile(r"approve|submit|send|execute|decide|limit|policy")

    assert [tool.name for tool in all_tools() if forbidden.match(tool.name)] == []


def test_every_decision_record_is_in_the_index() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text()

    assert [path.name for path in folder.glob("0*.md") if path.name not in index] == []


def test_changelog_and_package_agree_on_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    newest = re.search(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert newest is not None
    assert newest[1] == version


def test_no_tracked_file_names_a_package_index_or_a_machine() -> None:
    addresses = re.compile(
        r"pypi\.or" + r"g|pythonhoste" + r"d|registry\.npmj" + r"s|deb\.debia" + r"n\.org"
    )
    guilty = []
    for path in _tracked():
        if path.suffix in (".parquet", ".png", ".ttf"):
            continue
        if addresses.search(path.read_text(errors="replace")):
            guilty.append(str(path.relative_to(ROOT)))

    assert not guilty


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_requirement_has_hashes(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")

    pins = [line for line in text.splitlines() if line and not line.startswith("#")]

    assert pins
    assert [line for line in pins if "==" not in line or "--hash=sha256:" not in line] == []
