"""Deliveries: their key, when to try again, what a failure means, when a way out rests."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from tools.errors import ExternalError

MAX_ATTEMPTS = 12  # about three hours
LEASE = timedelta(seconds=60)
_FIRST_DELAY_S = 5
_LONGEST_DELAY_S = 3_600
_LONGEST_WISH_S = 86_400  # no receiver makes us wait longer than a day
TRIP_AFTER = 5  # failures in a row
_FIRST_REST = timedelta(seconds=60)
_LONGEST_REST = timedelta(minutes=15)


class Failure(StrEnum):
    """What follows from a failed attempt."""

    RETRY = "retry"
    GIVE_UP = "give_up"
    IN_DOUBT = "in_doubt"


class Settlement(StrEnum):
    """What a person says about a delivery that is in doubt or dead."""

    DELIVERED = "delivered"  # the supplier has it
    SEND_AGAIN = "send_again"  # it did not arrive: try once more
    TAKE_BACK = "take_back"  # it did not arrive and shall not: the order is a draft again


Way = tuple[str, int | None]
"""A channel and a supplier on it; None is everybody on the channel."""


@dataclass(frozen=True)
class Claim:
    """A delivery that this holder may attempt now.

    ``problem`` says why it must not leave although it waits; empty when nothing speaks against it.
    """

    id: int
    key: str
    order_id: int
    number: str
    channel: str
    payload: Mapping[str, Any]
    attempts: int
    holder: str
    supplier_id: int
    problem: str = ""

    @property
    def way(self) -> "Way":
        """The supplier on this channel."""
        return (self.channel, self.supplier_id)


def delivery_key(number: str, *, revision: int, fingerprint: str) -> str:
    """Return the key under which a receiver recognises a repeated delivery.

    >>> delivery_key("PO-2001", revision=1, fingerprint="a" * 64)
    'po:PO-2001:v1:aaaaaaaaaaaaaaaa'
    """
    return f"po:{number}:v{revision}:{fingerprint[:16]}"


def retry_delay(key: str, *, attempts: int) -> timedelta:
    """Return how long to wait after this many attempts: doubling, spread by up to half.

    The spread comes from the key, so that deliveries which failed together do not come back
    together, and the same one always waits the same time.
    """
    doubled = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** (max(1, attempts) - 1))
    digest = hashlib.sha256(f"{key}#{attempts}".encode()).digest()
    spread = int.from_bytes(digest[:4], "big") / 2**32
    return timedelta(seconds=doubled * (0.75 + 0.5 * spread))


def after_failure(
    *, attempts: int, is_idempotent: bool, is_surely_unsent: bool, is_final: bool = False
) -> Failure:
    """Say what follows from a failed attempt.

    An attempt that may have arrived is only repeated where the receiver recognises the key. One
    that was refused for good is not repeated at all.
    """
    if not is_idempotent and not is_surely_unsent:
        return Failure.IN_DOUBT
    return Failure.GIVE_UP if is_final or attempts >= MAX_ATTEMPTS else Failure.RETRY


@dataclass(frozen=True)
class Outcome:
    """What a failed attempt says about itself.

    Attributes:
        is_unsent: Surely nothing arrived.
        is_final: The same attempt will never succeed: refused for good, or not set up.
        is_channel: The failure concerns everybody on this channel, not one supplier.
        retry_after_s: How long the receiver wants us to wait, seconds.
    """

    is_unsent: bool = False
    is_final: bool = False
    is_channel: bool = False
    retry_after_s: int | None = None


def failed(
    message: str,
    *,
    next_step: str = "",
    is_unsent: bool = False,
    is_final: bool = False,
    is_channel: bool = False,
    retry_after_s: int | None = None,
) -> ExternalError:
    """Return the error with which a channel says how an attempt failed; see ``Outcome``."""
    details = {
        "is_unsent": is_unsent, "is_final": is_final, "is_channel": is_channel,
        "retry_after_s": retry_after_s,
    }  # fmt: skip
    return ExternalError(message, next_step=next_step, details=details)


def outcome(details: Mapping[str, Any]) -> Outcome:
    """Read what ``failed`` wrote; an error that says nothing may have arrived."""
    wish = details.get("retry_after_s")
    return Outcome(
        is_unsent=bool(details.get("is_unsent")),
        is_final=bool(details.get("is_final")),
        is_channel=bool(details.get("is_channel")),
        retry_after_s=min(wish, _LONGEST_WISH_S) if isinstance(wish, int) and wish > 0 else None,
    )


@dataclass(frozen=True)
class Breaker:
    """Gives a way out a rest after failures in a row, then lets one attempt through to see.

    >>> at, breaker = datetime(2026, 3, 2), Breaker()
    >>> for _ in range(TRIP_AFTER):
    ...     breaker = breaker.after_failure(at)
    >>> breaker.lets_through(at), breaker.lets_through(at + timedelta(seconds=60))
    (False, True)
    """

    failures: int = 0
    open_until: datetime | None = None

    def lets_through(self, at: datetime) -> bool:
        """Whether an attempt may be made now; after a rest it is the one that decides."""
        return self.open_until is None or at >= self.open_until

    def after_failure(self, at: datetime) -> "Breaker":
        """Count a failure; each failed probe doubles the rest, up to a quarter of an hour."""
        failures = self.failures + 1
        if failures < TRIP_AFTER:
            return replace(self, failures=failures)
        rest = min(_LONGEST_REST, _FIRST_REST * 2 ** min(10, failures - TRIP_AFTER))
        return Breaker(failures, at + rest)
