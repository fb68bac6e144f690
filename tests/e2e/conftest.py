"""The demo, built once: a planner talked, a manager approved, an order was delivered."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def quartermaster(
    *arguments: str, data_dir: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the program as a user would, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "api.cli.main", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "QM_DATA_DIR": str(data_dir), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@dataclass(frozen=True)
class Demo:
    """Where the demo lives and what it printed."""

    folder: Path
    exit_code: int
    printed: str
    noise: str


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A demo that ran once without a terminal. Read only: copy it to change it."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    done = quartermaster("demo", data_dir=folder)
    return Demo(folder, done.returncode, done.stdout, done.stderr)


@pytest.fixture
def shop(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the demo's folder, and the settings that lead to it."""
    folder = tmp_path / "shop"
    shutil.copytree(demo.folder, folder)
    monkeypatch.setenv("QM_DATA_DIR", str(folder))
    return folder
