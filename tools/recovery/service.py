"""What must hold before a restored database may work: nothing that left may leave again."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from db.models.identity import Counter
from db.models.purchasing import Outbox, PurchaseOrder
from db.types import OrderState, OutboxState
from tools.audit import service as audit
from tools.clock import Clock
from tools.company import Company
from tools.errors import Stale
from tools.policy.service import set_dispatch
from tools.purchasing.service.rows import RESTORED, step, void_approvals

NUMBERS_SKIPPED = 1_000  # documents that may have been written since the backup
_MAY_HAVE_LEFT = (OutboxState.PENDING, OutboxState.CLAIMED)


def after_restore(
    session: Session, *, backed_up_at: datetime, clock: Clock, company: Company
) -> list[str]:
    """Stop dispatch, and put every delivery in doubt that may have left since the backup.

    What was a draft or waited for a decision may have been approved and sent since then: requests
    are void, and a person asks the supplier and revises before asking again. Public numbers go on
    behind a gap: none is given twice.

    Args:
        session: A write transaction on the restored database.
        backed_up_at: When the backup was made.
        clock: Time.
        company: The rules of the house.

    Returns:
        The keys of the deliveries about which a person must find out.

    Raises:
        Stale: Somebody else works on the database already.
    """
    audit.lock(session)
    reason = f"restored from the backup of {backed_up_at:%Y-%m-%d %H:%M} UTC"
    set_dispatch(session, False, reason=reason, actor=audit.SYSTEM, clock=clock, company=company)
    session.execute(update(Counter).values(value=Counter.value + NUMBERS_SKIPPED))
    _void_requests(session, reason=reason, clock=clock)
    rows = session.exec(
        select(Outbox)
        .options(defer(Outbox.payload))  # type: ignore[arg-type]
        .where(col(Outbox.state).in_(_MAY_HAVE_LEFT))
        .order_by(col(Outbox.id))
    ).all()
    for row in rows:
        before = {"state": row.state.value}
        _doubt(session, row.id, row.state)
        audit.append(
            session,
            at=clock.now(),
            actor=audit.SYSTEM,
            action="delivery.in_doubt",
            object_id=row.key[:64],
            before=before,
            after={"channel": row.channel, "attempts": row.attempts},
            reason=reason,
        )
    return [row.key for row in rows]


def _void_requests(session: Session, *, reason: str, clock: Clock) -> None:
    waiting = session.exec(
        select(PurchaseOrder)
        .where(col(PurchaseOrder.state).in_((OrderState.DRAFT, OrderState.PENDING_APPROVAL)))
        .order_by(col(PurchaseOrder.id))
    ).all()
    for order in waiting:
        if order.state is OrderState.PENDING_APPROVAL:
            voided = void_approvals(session, order)
            step(
                session, order, OrderState.DRAFT, actor=audit.SYSTEM, action="order.taken_back",
                at=clock.now(), reason=reason, told={"voided": voided},
            )  # fmt: skip
        audit.append(
            session, at=clock.now(), actor=audit.SYSTEM, action=RESTORED, object_id=order.number,
            after={"revision": order.revision}, reason=reason,
        )  # fmt: skip


def _doubt(session: Session, row_id: int, seen: OutboxState) -> None:
    statement = (
        update(Outbox)
        .where(col(Outbox.id) == row_id, col(Outbox.state) == seen)
        .values(
            state=OutboxState.IN_DOUBT,
            lease_until=None,
            lease_holder="",
            last_error="it may have been sent after the backup was made",
        )
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
        raise Stale(
            f"delivery {row_id} changed during the restore",
            next_step="Stop every program that uses the database and restore again.",
        )
