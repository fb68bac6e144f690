"""What suppliers answer and deliver, and what people say to it."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from sqlmodel import Session

from api import worker
from api.auth import confirm_person
from api.dependencies import ActorDep, BackgroundDep, DeciderDep, DrafterDep, ReceiverDep, SystemDep
from api.routes.examples import answers
from api.routes.once import IdempotencyKey, answered_once
from api.routes.orders import ORDER_EXAMPLE, OrderShown, order_json
from api.routes.supply_shapes import (
    ANSWER_EXAMPLE,
    RECEIPT_EXAMPLE,
    AnswerBooked,
    AnswersShown,
    Decided,
    Ended,
    GoodsCame,
    GoodsReturned,
    ReceiptsShown,
    Reversed,
    Settled,
    SettledShown,
    SupplierSaid,
    answer_json,
    answer_line,
)
from tools.errors import InvalidInput
from tools.purchasing.service import accepting, answering, closing, reading, receiving, reversing
from tools.purchasing.service.rows import load
from tools.reach.service import look_as

router = APIRouter(tags=["supply"])

Number = Annotated[str, Path(max_length=32)]
AnswerNumber = Annotated[str, Path(pattern=r"^[sS]-\d{1,18}$")]
_CODES = ("not_found", "forbidden", "conflict")


@router.get(
    "/orders/{number}/receipts",
    response_model=ReceiptsShown,
    responses=answers({"receipts": [RECEIPT_EXAMPLE]}, codes=("not_found",)),
)
def list_receipts(system: SystemDep, actor: ActorDep, number: Number) -> dict[str, Any]:
    """Show everything that came and went of an order."""
    with system.database.read() as session:
        look_as(session, actor)
        rows = reversing.receipts_of(session, number)
        return {
            "receipts": [
                {
                    "reference": row.reference, "kind": row.kind, "received_on": row.received_on,
                    "units": row.received_units, "rejected": row.rejected_units,
                    "by": row.recorded_by, "reason": row.reason,
                }
                for row in rows
            ]
        }  # fmt: skip


@router.post(
    "/orders/{number}/receipts",
    response_model=OrderShown,
    responses=answers(ORDER_EXAMPLE, codes=_CODES),
)
def book_receipt(
    system: SystemDep,
    actor: ReceiverDep,
    request: Request,
    number: Number,
    body: GoodsCame,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Book a delivery: goods become stock, the order's open balance shrinks."""

    def effect(session: Session) -> dict[str, Any]:
        order = receiving.receive(
            session, number=number,
            arrivals=[receiving.Arrival(x.sku, x.quantity, x.rejected) for x in body.lines],
            reference=body.delivery_note, actor=actor, clock=system.clock, company=system.company,
            received_on=body.received_on,
            wrong=[receiving.WrongArrival(x.sku, x.quantity, x.disposition) for x in body.wrong],
        )  # fmt: skip
        return order_json(order)

    return answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)


@router.post(
    "/orders/{number}/receipts/{note}/reversal",
    response_model=OrderShown,
    responses=answers(ORDER_EXAMPLE, codes=_CODES),
)
def reverse_receipt(
    system: SystemDep,
    actor: ReceiverDep,
    request: Request,
    number: Number,
    note: Annotated[str, Path(max_length=60)],
    body: Reversed,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Undo the booking of a delivery note by counter-entries."""

    def effect(session: Session) -> dict[str, Any]:
        order = reversing.reverse_receipt(
            session, number=number, reference=note, reason=body.reason, actor=actor,
            clock=system.clock,
        )  # fmt: skip
        return order_json(order)

    return answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)


@router.post(
    "/orders/{number}/returns",
    response_model=OrderShown,
    responses=answers(ORDER_EXAMPLE, codes=_CODES),
)
def book_return(
    system: SystemDep,
    actor: ReceiverDep,
    request: Request,
    number: Number,
    body: GoodsReturned,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Book goods that go back to their supplier."""

    def effect(session: Session) -> dict[str, Any]:
        order = reversing.return_goods(
            session, number=number, sku=body.sku, units=body.quantity, reference=body.return_note,
            reason=body.reason, actor=actor, clock=system.clock, is_replaced=body.replaced,
        )  # fmt: skip
        return order_json(order)

    return answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)


@router.get(
    "/orders/{number}/answers",
    response_model=AnswersShown,
    responses=answers({"answers": [ANSWER_EXAMPLE]}, codes=("not_found",)),
)
def list_answers(system: SystemDep, actor: ActorDep, number: Number) -> dict[str, Any]:
    """Show what the supplier wanted otherwise than ordered, newest first."""
    with system.database.read() as session:
        look_as(session, actor)
        order = load(session, number)
        found = answering.list_answers(session, order=order.number)
        return {"answers": [answer_json(one, order.currency) for one in found]}


@router.post(
    "/orders/{number}/answers",
    response_model=AnswerBooked,
    responses=answers({"order": ORDER_EXAMPLE, "answer": ANSWER_EXAMPLE}, codes=_CODES),
)
def book_answer(
    system: SystemDep,
    actor: ReceiverDep,
    request: Request,
    number: Number,
    body: SupplierSaid,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Record what a supplier answered; a change waits until a person accepts it."""

    def effect(session: Session) -> dict[str, Any]:
        currency = load(session, number).currency
        came = answering.record_answer(
            session, number=number, lines=[answer_line(line, currency) for line in body.lines],
            actor=actor, clock=system.clock, note=body.note, promise_on=body.promise,
            source=f"rest {actor.login} {body.reference}" if body.reference else "",
        )  # fmt: skip
        answer = None if came.answer is None else answer_json(came.answer, currency)
        return {"order": order_json(came.order), "answer": answer}

    return answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)


@router.post(
    "/orders/{number}/answers/{answer}/decision",
    response_model=AnswerBooked,
    responses=answers({"order": ORDER_EXAMPLE, "answer": ANSWER_EXAMPLE}, codes=_CODES),
)
def decide_answer(
    system: SystemDep,
    actor: DeciderDep,
    request: Request,
    number: Number,
    answer: AnswerNumber,
    body: Decided,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Accept a supplier's change as the order's next revision, or decline it."""
    if body.password is not None:
        confirm_person(request, actor, body.password.get_secret_value())

    def effect(session: Session) -> dict[str, Any]:
        order = load(session, number)
        if answering.get_answer(session, answer).order_number != order.number:
            raise InvalidInput(f"{answer!r} is no answer to order {order.number!r}")
        outcome = accepting.decide_answer(
            session, number=answer, version=body.version, accept=body.accept, actor=actor,
            clock=system.clock, company=system.company, reason=body.reason,
            keep_balance=body.keep_balance, reauthenticated=body.password is not None,
        )  # fmt: skip
        shown = answer_json(outcome.answer, outcome.order.currency)
        return {"order": order_json(outcome.order), "answer": shown}

    return answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)


@router.post(
    "/orders/{number}/close",
    response_model=OrderShown,
    responses=answers(ORDER_EXAMPLE, codes=_CODES),
)
def end_order(
    system: SystemDep,
    actor: DrafterDep,
    request: Request,
    number: Number,
    body: Ended,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Close an order that is done, or stop waiting for what will not come."""

    def effect(session: Session) -> dict[str, Any]:
        if body.kind == "close" and body.lines is not None:
            raise InvalidInput("an order is closed whole; lines are short-closed")
        if body.kind == "close":
            order = closing.close_order(
                session, number=number, actor=actor, clock=system.clock, reason=body.reason
            )
        else:
            order = closing.short_close(
                session, number=number, actor=actor, clock=system.clock, reason=body.reason,
                units_by_sku=None if body.lines is None else dict(body.lines),
            )  # fmt: skip
        return order_json(order)

    return answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)


@router.post(
    "/deliveries/{key}/settlement",
    response_model=SettledShown,
    responses=answers({"key": "po:PO-2001:v1:9f2c", "order": ORDER_EXAMPLE}, codes=_CODES),
)
def settle_delivery(
    system: SystemDep,
    actor: DeciderDep,
    background: BackgroundDep,
    request: Request,
    key: Annotated[str, Path(max_length=120)],
    body: Settled,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Say what became of an order whose delivery failed or is in doubt."""

    def effect(session: Session) -> dict[str, Any]:
        number = worker.settle_in(
            session, key, answer=body.answer, actor=actor, reason=body.reason, clock=system.clock
        )
        return {"key": key, "order": order_json(reading.get_order(session, number))}

    came = answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)
    background.wake()
    return came
