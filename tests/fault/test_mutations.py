"""The suite can fail: each patch in ``mutations`` breaks one promise, and its tests notice.

A patch names its tests in a line ``Tests:``. It is applied to a copy of the product; the tests
must pass in the copy before (checked in the soak) and fail after. A patch that does not apply any
more has to be written anew: the code that it breaks has moved.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fault.conftest import IS_SOAK
from tests.fault.process import ROOT

PATCHES = sorted((Path(__file__).parent / "mutations").glob("*.patch"))
SHORT = 4  # how many run each time; the soak runs all
COPIED = ("agent", "api", "db", "docs", "evals", "tests", "tools", "pyproject.toml")
_NO_CACHES = shutil.ignore_patterns("__pycache__", ".*", "*.db*", "*.log")


def _copy(folder: Path) -> Path:
    """Copy the product as it is in the working tree; files that vanish meanwhile are no matter."""
    for name in COPIED:
        source = ROOT / name
        if source.is_file():
            shutil.copy2(source, folder / name)
            continue
        try:
            shutil.copytree(source, folder / name, ignore=_NO_CACHES, symlinks=True)
        except shutil.Error as error:
            if any("No such file" not in why for _, _, why in error.args[0]):
                raise
    return folder


def _apply(patch: Path, folder: Path) -> str:
    """Apply a patch; returns why it does not apply, or an empty text."""
    done = subprocess.run(
        ["git", "apply", "-C1", "--recount", "--unsafe-paths", f"--directory={folder}", str(patch)],
        cwd=folder, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    return done.stderr if done.returncode else ""


def _tests_of(patch: Path) -> list[str]:
    named = re.search(r"^Tests: (.+)$", patch.read_text(), re.MULTILINE)
    assert named is not None, f"{patch.name} names no tests"
    return shlex.split(named[1])


def _run(folder: Path, tests: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251
        if name in ("PATH", "QM_TEST_POSTGRES_URL", "CI", "HOME")
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist",
         "-m", "not postgres", *tests],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False, env=environment,
    )  # fmt: skip


def test_there_are_enough_of_them() -> None:
    assert len(PATCHES) >= 8


@pytest.mark.parametrize("patch", PATCHES, ids=[patch.stem for patch in PATCHES])
def test_a_broken_promise_is_noticed(patch: Path, tmp_path: Path) -> None:
    folder, tests = _copy(tmp_path), _tests_of(patch)
    problem = _apply(patch, folder)
    assert problem == "", f"{patch.name} does not apply any more, write it anew: {problem}"
    if not IS_SOAK and PATCHES.index(patch) >= SHORT:
        pytest.skip("runs in the soak; today it only has to apply")

    broken = _run(folder, tests)

    assert broken.returncode == 1, broken.stdout[-3000:] + broken.stderr[-2000:]
    assert "failed" in broken.stdout


@pytest.mark.skipif(not IS_SOAK, reason="the same tests run in the suite anyway")
def test_without_them_the_same_tests_pass(tmp_path: Path) -> None:
    folder, named = _copy(tmp_path), [_tests_of(patch) for patch in PATCHES]
    plain = sorted({test for tests in named if "-k" not in tests for test in tests})

    for tests in [plain, *(tests for tests in named if "-k" in tests)]:
        whole = _run(folder, tests)
        assert whole.returncode == 0, whole.stdout[-3000:] + whole.stderr[-2000:]
        assert "passed" in whole.stdout
