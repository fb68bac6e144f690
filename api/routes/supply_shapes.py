"""Shapes of what is said about suppliers' answers and deliveries; quantities in the stock unit."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from api.routes.orders import OrderShown
from db.types import AnswerState, ReceiptKind
from tools.errors import InvalidInput
from tools.money import amount_text, minor_digits
from tools.outbox.core import Settlement
from tools.purchasing.core.answers import AnswerCode, AnswerLine
from tools.purchasing.core.quantities import MOST_UNITS
from tools.purchasing.service.answering import AnswerView
from tools.purchasing.service.receiving import Disposition

Sku = Annotated[str, Field(min_length=1, max_length=120)]
Units = Annotated[int, Field(ge=1, le=MOST_UNITS, strict=True)]
Text = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
Given = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Note = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00]*$")]

ANSWER_EXAMPLE: dict[str, Any] = {
    "id": "s-7", "version": 1, "state": "proposed", "po_id": "PO-2001", "revision": 1,
    "lines": [
        {
            "sku": "WIDGET-A", "code": "IQ", "quantity": 240, "promise": "2026-03-08",
            "unit_price": None, "substitute": None,
        }
    ],
    "note": "", "source": "acme:ack-17", "received_at": "2026-03-02T09:00:00Z",
    "decided_by": None, "decided_at": None, "reason": "", "result_revision": None,
}  # fmt: skip
RECEIPT_EXAMPLE: dict[str, Any] = {
    "reference": "PO-2001:DN-7:1", "kind": "receipt", "received_on": "2026-03-08",
    "units": 240, "rejected": 0, "by": "paul", "reason": "",
}  # fmt: skip


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Came(_Body):
    """What came of an item; rejected units are no stock."""

    sku: Sku
    quantity: Units
    rejected: Annotated[int, Field(ge=0, le=MOST_UNITS, strict=True)] = 0


class Stray(_Body):
    """What came and was not ordered."""

    sku: Sku
    quantity: Units
    disposition: Disposition = Disposition.SEND_BACK


class GoodsCame(_Body):
    """A delivery; the same note again changes nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"delivery_note": "DN-7", "lines": [{"sku": "WIDGET-A", "quantity": 240}]}]
        }
    )
    delivery_note: Note
    lines: list[Came] = Field(default_factory=list, max_length=500)
    wrong: list[Stray] = Field(default_factory=list, max_length=100)
    received_on: date | None = None


class Reversed(_Body):
    """Why a booking was wrong."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "booked on the wrong order"}]}
    )
    reason: Given


class GoodsReturned(_Body):
    """Goods that go back; they are awaited again only if the supplier replaces them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"return_note": "RN-1", "sku": "WIDGET-A", "quantity": 12, "reason": "dented"}
            ]
        }
    )
    return_note: Note
    sku: Sku
    quantity: Units
    reason: Given
    replaced: bool = False


class SaidLine(_Body):
    """What a supplier says of (a part of) a line."""

    sku: Sku
    code: AnswerCode
    quantity: Units | None = None
    promise: date | None = None
    unit_price: Annotated[Decimal, Field(ge=0, lt=10**12)] | None = None
    substitute: Annotated[str, Field(max_length=120)] = ""


class SupplierSaid(_Body):
    """A supplier's answer; no lines is a yes to all of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"lines": [{"sku": "WIDGET-A", "code": "IQ", "quantity": 240}]}]
        }
    )
    lines: list[SaidLine] = Field(default_factory=list, max_length=500)
    promise: date | None = None
    reference: Annotated[str, Field(max_length=80, pattern=r"^[^\x00]*$")] = ""
    note: Text = ""


class Decided(_Body):
    """What a person says to a proposal they have read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"accept": True, "version": 1}]})
    accept: bool
    version: Annotated[int, Field(ge=1, le=2**31, strict=True)]
    keep_balance: bool = Field(
        default=False, description="What is left out stays open, with the day it had."
    )
    reason: Text = ""
    password: SecretStr | None = Field(
        default=None, max_length=256,
        description="Your password, to accept what needs a signature: a key does not sign.",
    )  # fmt: skip


class Ended(_Body):
    """What is over: the order (`close`), or a balance that will not come (`short_close`)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "short_close", "lines": {"WIDGET-A": 60}, "reason": "not made any more"}
            ]
        }
    )
    kind: Literal["close", "short_close"]
    lines: dict[Sku, Units] | None = Field(
        default=None, max_length=200, description="Units by SKU; all that is open if not given."
    )
    reason: Text = ""


class Settled(_Body):
    """What a person found out about a delivery that failed or is in doubt."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"answer": "delivered", "reason": "they confirmed on the phone"}]
        }
    )
    answer: Settlement
    reason: Given


class AnswerShownLine(BaseModel):
    """A part of an answer; money is decimal text."""

    sku: str
    code: AnswerCode
    quantity: int | None
    promise: date | None
    unit_price: str | None
    substitute: str | None


class AnswerShown(BaseModel):
    """A supplier's answer that changes something, and what was said to it."""

    id: str
    version: int
    state: AnswerState
    po_id: str
    revision: int
    lines: list[AnswerShownLine]
    note: str = Field(description="The supplier's words: from outside.")
    source: str
    received_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str
    result_revision: int | None


class AnswersShown(BaseModel):
    """Answers, newest first."""

    answers: list[AnswerShown]


class AnswerBooked(BaseModel):
    """The order, and the proposal if there is one."""

    order: OrderShown
    answer: AnswerShown | None


class ReceiptShown(BaseModel):
    """What came, went back or was reversed."""

    reference: str
    kind: ReceiptKind
    received_on: date
    units: int
    rejected: int
    by: str
    reason: str


class ReceiptsShown(BaseModel):
    """Everything that came and went of an order."""

    receipts: list[ReceiptShown]


class SettledShown(BaseModel):
    """Where the order stands now."""

    key: str
    order: OrderShown


def answer_line(said: SaidLine, currency: str) -> AnswerLine:
    """Return a part of an answer as the services take it.

    Raises:
        InvalidInput: The price has more decimals than the currency.
    """
    price = None
    if said.unit_price is not None:
        minor = said.unit_price.scaleb(minor_digits(currency))
        if minor != minor.to_integral_value():
            raise InvalidInput(f"{said.sku!r}: {said.unit_price} has too many decimals")
        price = int(minor)
    return AnswerLine(said.sku, said.code, said.quantity, said.promise, price, said.substitute)


def answer_json(answer: AnswerView, currency: str) -> dict[str, Any]:
    """Return an answer as JSON; money is decimal text."""
    return {
        "id": answer.number, "version": answer.version, "state": answer.state,
        "po_id": answer.order_number, "revision": answer.revision,
        "lines": [
            {
                "sku": line.sku, "code": line.code, "quantity": line.units,
                "promise": line.promise_on,
                "unit_price": None if line.unit_price_minor is None
                else amount_text(line.unit_price_minor, currency),
                "substitute": line.substitute or None,
            }
            for line in answer.lines
        ],
        "note": answer.note, "source": answer.source, "received_at": answer.received_at,
        "decided_by": answer.decided_by or None, "decided_at": answer.decided_at,
        "reason": answer.reason, "result_revision": answer.result_revision,
    }  # fmt: skip
