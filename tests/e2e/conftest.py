"""The demo, built once: a planner talked, a manager approved, an order was delivered."""

import json
import shutil
import subprocess
import sys
import time
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
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Demo:
    """A demo that ran once without a terminal. Read only: copy it to change it.

    It takes ten seconds, so the first process that asks runs it and the others wait for it.
    """
    own = tmp_path_factory.getbasetemp()
    place = (own if worker_id == "master" else own.parent) / "demo"
    told = place / "told.json"
    try:
        place.mkdir()
    except FileExistsError:
        _await(told)
    else:
        done = quartermaster("demo", data_dir=place / "data")
        said = json.dumps([done.returncode, done.stdout, done.stderr])
        (place / "telling").write_text(said, encoding="utf-8")
        (place / "telling").rename(told)
    return Demo(place / "data", *json.loads(told.read_text(encoding="utf-8")))


def _await(file: Path, *, within_s: float = 180.0) -> None:
    ends_s = time.monotonic() + within_s
    while not file.exists():
        assert time.monotonic() < ends_s, f"nobody wrote {file}"
        time.sleep(0.1)


@pytest.fixture
def shop(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the demo's folder, and the settings that lead to it."""
    folder = tmp_path / "shop"
    shutil.copytree(demo.folder, folder)
    monkeypatch.setenv("QM_DATA_DIR", str(folder))
    return folder
