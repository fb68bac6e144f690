"""Deliveries: their key, when to try again, and what a failure means."""

import hashlib
from datetime import timedelta
from enum import StrEnum

MAX_ATTEMPTS = 8
LEASE = timedelta(seconds=60)
_FIRST_DELAY_S = 5
_LONGEST_DELAY_S = 3_600


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


def after_failure(*, attempts: int, is_idempotent: bool, is_surely_unsent: bool) -> Failure:
    """Say what follows from a failed attempt.

    An attempt that may have arrived is only repeated where the receiver recognises the key.
    """
    if not is_idempotent and not is_surely_unsent:
        return Failure.IN_DOUBT
    return Failure.GIVE_UP if attempts >= MAX_ATTEMPTS else Failure.RETRY
