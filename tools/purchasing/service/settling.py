"""What a person may say about a delivery that is dead or in doubt."""

from sqlmodel import Session

from db.models.purchasing import Approval, Outbox, PurchaseOrder
from db.once import fresh
from db.types import Actor
from tools.errors import Forbidden, InvalidInput
from tools.outbox.core import Settlement
from tools.policy.service import current as current_policy
from tools.purchasing.service.drafting import check_order_scope
from tools.purchasing.service.policing import people_behind


def check_settlement(
    session: Session, row: Outbox, *, answer: Settlement, actor: Actor, reason: str
) -> None:
    """Refuse an answer outside the person's work, without a reason, or in their own favour.

    That a supplier has an order is said by somebody who neither asked for it nor wrote it, above
    what people approve of their own: else an order that never left could count as on its way.

    Raises:
        InvalidInput: There is no reason.
        Forbidden: The order is outside the person's work, or their own.
    """
    if not reason.strip():
        raise InvalidInput(
            "what became of a delivery needs a reason", next_step="Say how you know, and from whom."
        )
    order = fresh(session, PurchaseOrder, row.order_id)
    check_order_scope(session, actor, order)
    approval = fresh(session, Approval, row.approval_id)
    most_minor = current_policy(session).self_approval_limit_minor
    is_own = actor.user_id in people_behind(session, order, approval)
    if answer is Settlement.DELIVERED and is_own and approval.company_total_minor > most_minor:
        raise Forbidden(
            f"nobody says of an order of their own above the limit that it arrived: "
            f"{order.number!r} is yours",
            next_step="Somebody else asks the supplier and says so.",
            details={"reason": "separation_of_duties", "rule": "separation_of_duties"},
        )
