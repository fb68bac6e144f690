"""The life of an order: its states and the only steps between them."""

from collections.abc import Mapping

from db.types import OrderState
from tools.errors import Conflict

_S = OrderState

# A person's "no" or an approval that ran out makes a draft again; ``rejected`` is the supplier's.
LEGAL: Mapping[OrderState, frozenset[OrderState]] = {
    _S.DRAFT: frozenset({_S.PENDING_APPROVAL, _S.CANCELLED}),
    _S.PENDING_APPROVAL: frozenset({_S.APPROVED, _S.DRAFT, _S.CANCELLED}),
    _S.APPROVED: frozenset({_S.SENT, _S.DRAFT, _S.CANCELLED}),
    _S.SENT: frozenset(
        {
            _S.CONFIRMED,
            _S.CHANGED,
            _S.REJECTED,
            _S.PARTIALLY_RECEIVED,
            _S.RECEIVED,
            _S.SHORT_CLOSED,
        }
    ),
    _S.CONFIRMED: frozenset(
        {
            _S.CONFIRMED,
            _S.CHANGED,
            _S.PARTIALLY_RECEIVED,
            _S.RECEIVED,
            _S.CANCELLED,
            _S.SHORT_CLOSED,
        }
    ),
    # What a supplier proposes is accepted, declined (back to where it was) or proposed anew.
    _S.CHANGED: frozenset(
        {
            _S.CHANGED,
            _S.SENT,
            _S.CONFIRMED,
            _S.REJECTED,
            _S.PARTIALLY_RECEIVED,
            _S.RECEIVED,
            _S.CANCELLED,
            _S.SHORT_CLOSED,
        }
    ),
    # A booking that was wrong is reversed: then goods are awaited again.
    _S.PARTIALLY_RECEIVED: frozenset(
        {
            _S.PARTIALLY_RECEIVED,
            _S.SENT,
            _S.CONFIRMED,
            _S.CHANGED,
            _S.RECEIVED,
            _S.SHORT_CLOSED,
        }
    ),
    _S.RECEIVED: frozenset({_S.CLOSED, _S.SENT, _S.CONFIRMED, _S.PARTIALLY_RECEIVED}),
    _S.REJECTED: frozenset({_S.CLOSED}),
    _S.SHORT_CLOSED: frozenset({_S.CLOSED}),
    _S.CANCELLED: frozenset(),
    _S.CLOSED: frozenset(),
}

UNSENT = frozenset({_S.DRAFT, _S.PENDING_APPROVAL, _S.APPROVED})
AWAITED = frozenset({_S.SENT, _S.CONFIRMED, _S.CHANGED, _S.PARTIALLY_RECEIVED})
ON_ORDER = frozenset({_S.PENDING_APPROVAL, _S.APPROVED}) | AWAITED  # counts in the position

NEXT_ACTION: Mapping[OrderState, str] = {
    _S.DRAFT: "request approval",
    _S.PENDING_APPROVAL: "a person decides",
    _S.APPROVED: "waits to be sent",
    _S.SENT: "the supplier confirms",
    _S.CONFIRMED: "goods arrive",
    _S.CHANGED: "check the supplier's change",
    _S.REJECTED: "find another supplier",
    _S.PARTIALLY_RECEIVED: "the rest arrives",
    _S.RECEIVED: "close",
    _S.CLOSED: "",
    _S.CANCELLED: "",
    _S.SHORT_CLOSED: "close",
}


def check_step(number: str, *, now: OrderState, to: OrderState) -> None:
    """Refuse a step that the life of an order does not have.

    Raises:
        Conflict: There is no such step.
    """
    if to not in LEGAL[now]:
        raise Conflict(
            f"order {number!r} is {now.value!r} and cannot become {to.value!r}",
            next_step="Look at the order's state first.",
            details={"state": now.value},
        )
