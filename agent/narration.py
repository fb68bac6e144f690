"""What a person decided about an order, in words made from rows and nothing else."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from db.models.catalog import Supplier
from db.models.identity import User
from db.models.purchasing import Approval, Outbox, PurchaseOrder
from db.types import ApprovalState, Decision, OrderState, OutboxState
from tools.clock import Clock
from tools.company import Company
from tools.errors import NotFound

_CURRENCY_DIGITS = {"JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3}
_ROLES = {"approver": "an approver", "manager": "a manager", "planner": "a planner"}


def narration(session: Session, number: str, *, company: Company, clock: Clock) -> str:
    """Return one or two sentences about an approval as the database has it now.

    Raises:
        NotFound: There is no such approval.
    """
    approval = session.exec(select(Approval).where(Approval.number == number)).first()
    if approval is None:
        raise NotFound(f"there is no approval {number!r}")
    order = session.get_one(PurchaseOrder, approval.order_id)
    who = session.get(User, approval.decided_by_id) if approval.decided_by_id else None
    teller = _Teller(session, approval, order, who.name if who else "nobody", company, clock)
    return teller.text()


class _Teller:
    """Holds the rows of one decision while its sentences are made."""

    def __init__(
        self, session: Session, approval: Approval, order: PurchaseOrder, who: str,
        company: Company, clock: Clock,
    ) -> None:  # fmt: skip
        self.session, self.approval, self.order = session, approval, order
        self.who, self.company, self.clock = who, company, clock

    def text(self) -> str:
        """Return the sentences."""
        approval, name = self.approval, f"{self.order.number} ({self.approval.number})"
        if approval.decision == Decision.EDIT:
            return self._edited()
        if approval.decision == Decision.RESPOND and approval.state == ApprovalState.PENDING:
            return f"{self.who} answered on {name}: {_ended(approval.reason)} The request waits."
        if approval.state == ApprovalState.APPROVED:
            return self._approved(approval)
        if approval.state == ApprovalState.REJECTED:
            rejected = f"{self.order.number} rejected by {self.who} ({approval.number})"
            reason = f": {approval.reason}" if approval.reason else ""
            return f"{_ended(rejected + reason)} Nothing was sent."
        if approval.state == ApprovalState.EXPIRED:
            return f"The request for {name} expired. Nothing was sent; it can be requested again."
        if approval.state == ApprovalState.VOID:
            return f"The request for {name} is void: the order changed after it. Nothing was sent."
        return f"The request for {name} still waits for {_role(approval.required_role)}."

    def _edited(self) -> str:
        order = self.order
        changed = (
            f"{self.who} changed {order.number} to revision {order.revision}, "
            f"{_money(order.total_minor, order.currency)}"
        )
        newer = self.session.exec(
            select(Approval)
            .where(Approval.order_id == order.id, col(Approval.id) > self.approval.id)
            .order_by(col(Approval.id).desc())
        ).first()
        if newer is not None and newer.state == ApprovalState.APPROVED:
            return f"{changed}. {self._approved(newer)}"
        if newer is not None and newer.state == ApprovalState.PENDING:
            return f"{changed}. It waits for {_role(newer.required_role)} ({newer.number})."
        return f"{changed}. Request {self.approval.number} is void; nothing was sent."

    def _approved(self, approval: Approval) -> str:
        order = self.order
        by = f"approved by {self._decider(approval)} ({approval.number})"
        if order.sent_at is not None and order.state != OrderState.APPROVED:
            return f"{order.number} sent {self._time(order.sent_at)}, {by}."
        if order.state == OrderState.CANCELLED:
            return f"{order.number} was {by} but is cancelled now. Nothing was sent."
        supplier = self.session.get_one(Supplier, order.supplier_id).name
        when = self._time(approval.decided_at or self.clock.now())
        return f"{order.number} {by} {when}. {self._delivery(approval, supplier)}"

    def _delivery(self, approval: Approval, supplier: str) -> str:
        row = self.session.exec(select(Outbox).where(Outbox.approval_id == approval.id)).first()
        if row is None or row.state in (OutboxState.PENDING, OutboxState.CLAIMED):
            return f"It is queued for delivery to {supplier} and has not left yet."
        if row.state == OutboxState.IN_DOUBT:
            return (
                f"Whether it reached {supplier} is in doubt; a person must check before a resend."
            )
        if row.state == OutboxState.DELIVERED:
            return f"It was delivered to {supplier}."
        return f"It could not be delivered to {supplier}; a person must look into it."

    def _decider(self, approval: Approval) -> str:
        user = self.session.get(User, approval.decided_by_id) if approval.decided_by_id else None
        return user.name if user else self.who

    def _time(self, at: datetime) -> str:
        """Return the time of day; with the date when it is not today."""
        zone = ZoneInfo(self.company.timezone)
        local, today = at.astimezone(zone), self.clock.now().astimezone(zone).date()
        return local.strftime("%H:%M" if local.date() == today else "%Y-%m-%d %H:%M")


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _role(role: str) -> str:
    return _ROLES.get(role, f"the {role}")


def _money(minor: int, currency: str) -> str:
    digits = _CURRENCY_DIGITS.get(currency, 2)
    return f"{minor / 10**digits:,.{digits}f} {currency}"
