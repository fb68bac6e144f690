"""One line per event for operators: console or JSON, with the ids of request, thread and run.

The log is not the record (``tools/audit`` is) and holds neither secrets nor, above DEBUG, what
people wrote.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

ROOTS = ("agent", "tools", "api", "db", "evals")
REDACTED = "[redacted]"

_SECRET_NAMES = re.compile(r"(^|_)(authorization|password|passwd|secret|token|api_key|cookie)$")
_TEXT_NAMES = frozenset({"text", "body", "content", "prompt", "message_text", "arguments"})
_SECRET_VALUES = (
    re.compile(r"qm_[A-Za-z0-9]+_[A-Za-z0-9]+_[A-Za-z0-9_-]+"),
    re.compile(r"(?i)(?<=bearer )\S+"),
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"),  # user:password@ in an address
    re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"),
)


def configure_logging(
    *, level: str = "INFO", style: Literal["console", "json"] = "console",
    stream: TextIO | None = None,
) -> None:  # fmt: skip
    """Set up the process: our five roots at ``level``, everybody else at WARNING."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(), processors=[*_finish(style), _renderer(style)]
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.WARNING)
    for name in ROOTS:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)


def redact(value: Any) -> Any:
    """Return the value without secrets, whatever its nesting."""
    if isinstance(value, str):
        for pattern in _SECRET_VALUES:
            value = pattern.sub(REDACTED, value)
        return value
    if isinstance(value, Mapping):
        return {
            name: REDACTED if _SECRET_NAMES.search(str(name).lower()) else redact(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(inner) for inner in value]
    return value


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _finish(style: str) -> list[Processor]:
    steps: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if style == "json":
        steps.append(structlog.processors.dict_tracebacks)
    else:
        steps.append(structlog.processors.format_exc_info)
    return [*steps, _drop_text, _redact_event]


def _renderer(style: str) -> Processor:
    if style == "json":
        return structlog.processors.JSONRenderer(default=str)
    return structlog.dev.ConsoleRenderer(colors=False)


def _drop_text(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """Keep what people and models wrote out of the log, except at DEBUG."""
    if event.get("level") != "debug":
        for name in _TEXT_NAMES & event.keys():
            event[name] = f"[{len(str(event[name]))} characters]"
    return event


def _redact_event(_logger: Any, _name: str, event: EventDict) -> MutableMapping[str, Any]:
    cleaned: dict[str, Any] = redact(event)
    return cleaned
