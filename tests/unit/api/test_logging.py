"""The log: ids on every line, no secrets, no message text."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from api.logging import REDACTED, configure_logging, redact
from tools.tracing import bound

KEY = "qm_live_0123456789ab_" + "f" * 64


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Put the process's logging back afterwards."""
    names = ["", "agent", "tools", "api", "db", "evals"]
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = logging.root.handlers
    yield
    logging.root.handlers = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.usefixtures("restored_logging")
class TestJson:
    def test_an_event_carries_ids_and_fields(self) -> None:
        stream = io.StringIO()
        configure_logging(style="json", stream=stream)

        with bound(request_id="r-1", actor="paul"):
            logging.getLogger("tools.x").info("order submitted", extra={"order": "PO-1"})

        event = json.loads(stream.getvalue())
        assert event["event"] == "order submitted"
        assert (event["request_id"], event["actor"], event["order"]) == ("r-1", "paul", "PO-1")
        assert event["level"] == "info"

    def test_secrets_are_redacted_wherever_they_are(self) -> None:
        stream = io.StringIO()
        configure_logging(style="json", stream=stream)

        try:
            raise ValueError(f"bad key {KEY}")
        except ValueError:
            logging.getLogger("api.x").exception("failed with %s", KEY, extra={"password": "p4ss"})

        assert "f" * 64 not in stream.getvalue()
        assert "p4ss" not in stream.getvalue()
        assert "ValueError" in stream.getvalue()

    def test_message_text_appears_at_debug_only(self) -> None:
        stream = io.StringIO()
        configure_logging(style="json", level="DEBUG", stream=stream)
        logger = logging.getLogger("agent.x")

        logger.info("message stored", extra={"text": "private words"})
        logger.debug("message stored", extra={"text": "private words"})

        info, debug = map(json.loads, stream.getvalue().splitlines())
        assert info["text"] == "[13 characters]"
        assert debug["text"] == "private words"

    def test_libraries_are_quiet(self) -> None:
        stream = io.StringIO()
        configure_logging(style="json", stream=stream)

        logging.getLogger("httpx").info("request")

        assert stream.getvalue() == ""


@pytest.mark.usefixtures("restored_logging")
def test_the_console_shows_one_line_with_its_fields() -> None:
    stream = io.StringIO()
    configure_logging(style="console", stream=stream)

    logging.getLogger("api.x").warning("slow answer", extra={"duration_ms": 900})

    assert "slow answer" in stream.getvalue()
    assert "duration_ms=900" in stream.getvalue()


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        (f"Authorization: Bearer {KEY}", f"Authorization: Bearer {REDACTED}"),
        ("postgresql://u:pw@host/x", f"postgresql://{REDACTED}@host/x"),
        ({"a": [{"api_key": "x", "key_id": "y"}]}, {"a": [{"api_key": REDACTED, "key_id": "y"}]}),
        ({"idempotency_key": "k-1", "n": 3}, {"idempotency_key": "k-1", "n": 3}),
        ("order PO-1 of 1,920 each", "order PO-1 of 1,920 each"),
    ],
)
def test_redact(value: object, cleaned: object) -> None:
    assert redact(value) == cleaned
