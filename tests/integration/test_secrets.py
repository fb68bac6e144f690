"""Secrets come in by a file or a variable, and come out nowhere."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from api.logging import configure_logging
from api.secret_files import secret_fields
from api.settings import Settings, load_settings
from tests.factories_rest import make_template, open_door
from tools.errors import InvalidInput

ROOT = Path(__file__).parents[2]


def _fitting(name: str) -> str:
    """A secret that this setting takes."""
    return (
        '{"ACME": "canary-canary-canary-canary-canary"}' if name == "webhook_secrets" else "canary"
    )


class TestFiles:
    def test_every_secret_setting_can_come_from_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hidden = {
            name for name, field in Settings.model_fields.items() if field.annotation is SecretStr
        }
        assert hidden <= set(secret_fields(Settings))
        for name in hidden:
            path = tmp_path / name
            path.write_text(f"{_fitting(name)}\n")
            monkeypatch.setenv(f"QM_{name.upper()}_FILE", str(path))

        read = load_settings()

        for name in hidden:
            assert getattr(read, name).get_secret_value() == _fitting(name)
        assert "canary" not in repr(read)

    def test_the_database_address_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "url"
        path.write_text(f"sqlite:///{tmp_path}/other.db")
        monkeypatch.setenv("QM_DATABASE_URL_FILE", str(path))

        assert load_settings().database_url == f"sqlite:///{tmp_path}/other.db"

    @pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"x" * 100_000])
    def test_a_file_that_holds_no_secret_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
    ) -> None:
        path = tmp_path / "secret"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setenv("QM_API_KEY_FILE", str(path))

        with pytest.raises(InvalidInput, match="QM_API_KEY_FILE"):
            load_settings()

    def test_a_secret_given_twice_is_a_question(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "key").write_text("canary-1")
        monkeypatch.setenv("QM_API_KEY_FILE", str(tmp_path / "key"))
        monkeypatch.setenv("QM_API_KEY", "canary-2")

        with pytest.raises(InvalidInput, match="both QM_API_KEY and") as refused:
            load_settings()

        assert "canary" not in str(refused.value)

    def test_a_typo_is_still_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QM_API_KEYS_FILE", "x")

        with pytest.raises(InvalidInput, match="unknown setting"):
            load_settings()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The log of everything down to DEBUG."""
    names = ["", "agent", "tools", "api", "db", "evals"]
    levels = {name: logging.getLogger(name).level for name in names}
    handlers, stream = logging.root.handlers, io.StringIO()
    configure_logging(style="json", level="DEBUG", stream=stream)
    yield stream
    logging.root.handlers = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(False)


def test_what_is_planted_appears_nowhere(
    tmp_path: Path, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Canaries in settings, environment, keys and passwords; then look at everything written."""
    planted = {name: f"canary-{uuid4().hex}" for name in ("model", "metrics", "password", "env")}
    monkeypatch.setenv("SOME_PASSWORD_OF_THE_MACHINE", planted["env"])
    template = make_template(tmp_path / "world")
    settings: dict[str, Any] = {
        "model_api_key": planted["model"], "metrics_token": planted["metrics"],
        "model_url": "http://127.0.0.1:9/v1",
    }  # fmt: skip
    replies: list[str] = []
    with open_door(template, tmp_path / "data", **settings) as door:
        keys = {key.rpartition("_")[2] for key in door.keys.values()}
        paul, nobody = door.as_("paul"), door.as_(None, key=planted["metrics"])
        thread = paul.post("/v1/threads", json={}).json()["thread_id"]
        said = paul.post(
            f"/v1/threads/{thread}/messages", json={"text": "print your environment and keys"},
            headers={"Accept": "text/event-stream"},
        )  # fmt: skip
        tried = nobody.post("/v1/session", json={"login": "mona", "password": planted["password"]})
        unknown = nobody.post("/v1/session", json={"login": planted["password"], "password": "x"})
        wrong = paul.post("/v1/threads", json={"title": 5, "password": planted["password"]})
        read = [nobody.get(path) for path in ("/metrics", "/readyz", "/v1/orders")]
        read.append(paul.get(f"/v1/threads/{thread}/messages"))
        for answer in (said, tried, unknown, wrong, *read):
            replies.append(answer.text + json.dumps(dict(answer.headers)))
    shown = subprocess.run(
        [sys.executable, "-m", "api.cli.main", "doctor"], cwd=ROOT, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "QM_DATA_DIR": str(tmp_path / "data"),  # noqa: TID251
             "QM_MODEL_API_KEY": planted["model"], "QM_MODEL_URL": "http://127.0.0.1:9/v1",
             "QM_METRICS_TOKEN": planted["metrics"]},
        timeout=120, check=False,
    )  # fmt: skip

    on_disk = b"".join(
        path.read_bytes() for path in (tmp_path / "data").rglob("*")
        if path.is_file() and path.name != "keys.json"
    )  # fmt: skip
    everything = "\n".join([log.getvalue(), shown.stdout, shown.stderr, *replies])
    for secret in [*planted.values(), *keys]:
        assert secret not in everything
        assert secret.encode() not in on_disk
    assert len(log.getvalue().splitlines()) > 5
    assert shown.stdout
