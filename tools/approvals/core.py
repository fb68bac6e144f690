"""Approvals as people see them, and what can be said to one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from db.types import ApprovalState, Decision
from tools.errors import InvalidInput
from tools.money import amount_text
from tools.purchasing.core.content import digest
from tools.purchasing.core.views import Check, OrderView

MEANINGS: Mapping[Decision, str] = {
    Decision.APPROVE: "approval",
    Decision.EDIT: "authorship",
    Decision.REJECT: "rejection",
    Decision.RESPOND: "comment",
}


@dataclass(frozen=True)
class Why:
    """Where a line's quantity comes from: terms that add up to the recommended quantity."""

    sku: str
    recommendation: str
    quantity: int
    terms: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class SignatureView:
    """A person's name under a request, as every rendering shows it: who, when, meaning what."""

    login: str
    name: str
    at: datetime
    meaning: str
    reason: str
    channel: str
    is_reauthenticated: bool


@dataclass(frozen=True)
class ApprovalView:
    """A request with everything a person must see before deciding.

    ``content`` is what the decision is about, as it was when it was asked for; ``order`` is the
    order as it stands now. They are the same while the request is pending.
    """

    number: str
    version: int
    state: ApprovalState
    order: OrderView
    revision: int
    fingerprint: str
    content: Mapping[str, Any]
    total_minor: int
    currency: str
    company_total_minor: int
    required_role: str
    rule: str
    requested_by: str
    requested_by_name: str
    requested_at: datetime
    expires_at: datetime
    decision: Decision | None
    decided_by: str
    decided_by_name: str
    decided_at: datetime | None
    meaning: str
    reason: str
    channel: str
    thread_id: str | None
    checks: tuple[Check, ...]
    why: tuple[Why, ...]
    required_signatures: int = 1
    needs_reauthentication: bool = False
    policy_version: int | None = None
    signatures: tuple[SignatureView, ...] = ()

    @property
    def digest(self) -> str:
        """Short form of the fingerprint."""
        return digest(self.fingerprint)

    @property
    def total(self) -> str:
        """Total as a decimal."""
        return amount_text(self.total_minor, self.currency)


@dataclass(frozen=True)
class DecisionOutcome:
    """What a decision led to. After an edit ``approval`` is the new, open request."""

    approval: ApprovalView
    order_number: str
    order_state: str
    message: str


@dataclass(frozen=True)
class Edit:
    """A quantity that the person wants instead."""

    sku: str
    quantity: int


def read_edits(edits: Sequence[Mapping[str, Any]] | None) -> tuple[Edit, ...]:
    """Check the quantities that came with an ``edit``.

    Raises:
        InvalidInput: There are none, or one is not a SKU with a whole quantity from 0.
    """
    if not edits:
        raise InvalidInput(
            "an edit needs new quantities", next_step="Give sku and quantity of each changed line."
        )
    found = []
    for edit in edits:
        sku, quantity = edit.get("sku"), edit.get("quantity")
        is_whole = isinstance(quantity, int) and not isinstance(quantity, bool) and quantity >= 0
        if not isinstance(sku, str) or not is_whole:
            raise InvalidInput(f"an edit is a sku and a whole quantity, got {dict(edit)!r}")
        found.append(Edit(sku, int(quantity or 0)))
    return tuple(found)


def answered(
    decision: Decision,
    *,
    actor_name: str,
    order: str,
    reason: str,
    missing: int = 0,
    is_stopped: bool = False,
) -> str:
    """Return the sentence that tells what was decided.

    ``missing`` signatures are still to come; ``is_stopped`` says that nothing leaves at present.
    """
    if decision is Decision.APPROVE and missing:
        return f"{actor_name} signed {order}; another person must sign before it leaves"
    if decision is Decision.APPROVE and is_stopped:
        return f"{actor_name} approved {order}; it waits, because dispatch is stopped"
    said = f": {reason}" if reason else ""
    return {
        Decision.APPROVE: f"{actor_name} approved {order}; it is on its way to the supplier",
        Decision.EDIT: f"{actor_name} changed {order}; the new revision waits for approval",
        Decision.REJECT: f"{actor_name} rejected {order}{said}; it is a draft again",
        Decision.RESPOND: f"{actor_name} answered about {order}{said}",
    }[decision]
