"""Who may post to us: each sender has its own secrets and may speak for its own suppliers."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tools.errors import InvalidInput, NotAuthenticated
from tools.webhooks.core import signature

Kind = Literal["acknowledgement", "shipment", "receipt"]
WINDOW_S = 300  # a message is as fresh as this, or it is nobody's
EVERYBODY = "*"
_NOBODY = b"nobody has this secret"


class _Entry(BaseModel):
    """A sender as the file describes it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    secrets: list[str] = Field(min_length=1, max_length=4)
    suppliers: list[str] = Field(min_length=1)
    kinds: list[Kind] = Field(min_length=1)
    login: str = ""


@dataclass(frozen=True, repr=False)
class Source:
    """A sender.

    Attributes:
        name: The last part of its address.
        secrets: Any of them signs; two while one replaces the other.
        suppliers: Codes of the suppliers it may speak for; ``*`` is all, for a warehouse.
        kinds: What it may say.
        login: The service account in whose name it is booked; empty is the system.
    """

    name: str
    secrets: tuple[bytes, ...]
    suppliers: frozenset[str]
    kinds: frozenset[str]
    login: str = ""

    def speaks_for(self, supplier_code: str) -> bool:
        """Whether this sender may say something about a supplier's orders."""
        return bool({EVERYBODY, supplier_code.casefold()} & self.suppliers)


Sources = Mapping[str, Source]


def read_sources(text: str) -> dict[str, Source]:
    """Read the file of senders: a JSON object of name to secrets, suppliers, kinds and login.

    Raises:
        InvalidInput: It is no such object, or a secret is shorter than 32 characters. What is in
            the file is not repeated.
    """
    try:
        entries = TypeAdapter(dict[str, _Entry]).validate_json(text)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"][:2])
        raise InvalidInput(
            f"the file of senders cannot be read{f' at {where}' if where else ''}",
            next_step="docs/inbound.md shows one.",
        ) from None
    if any(len(secret) < 32 for entry in entries.values() for secret in entry.secrets):
        raise InvalidInput("a sender's secret has at least 32 characters")
    return {
        name: Source(
            name,
            tuple(secret.encode() for secret in entry.secrets),
            frozenset(code.casefold() for code in entry.suppliers),
            frozenset(entry.kinds),
            entry.login,
        )
        for name, entry in entries.items()
    }


def authentic(
    sources: Sources, name: str, *, body: bytes, timestamp: str, signed: str, now: datetime
) -> Source:
    """Return the sender of a message, if it signed exactly this within five minutes.

    It takes the same work whether there is such a sender or not.

    Args:
        sources: Everybody we know.
        name: Who it says it is.
        body: The message, byte by byte.
        timestamp: The header: seconds since 1970.
        signed: The header: ``v1=`` and 64 hex digits.
        now: The time here.

    Raises:
        NotAuthenticated: It did not; why is not said.
    """
    source = sources.get(name)
    seconds = int(timestamp) if _is_number(timestamp) else 0
    is_signed = False
    for secret in source.secrets if source else (_NOBODY,):
        right = signature(secret, timestamp=seconds, body=body)
        is_signed |= hmac.compare_digest(right.encode(), signed.encode("utf-8", "replace"))
    is_fresh = abs(int(now.timestamp()) - seconds) <= WINDOW_S
    if source is None or not is_signed or not is_fresh:
        raise NotAuthenticated("the signature of this message is not valid")
    return source


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12
