"""What senders may say: strict shapes, cleaned texts, one sentence when something is wrong."""

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from db.types import ShipmentStatus
from tools.errors import InvalidInput
from tools.inbound.core.sources import Kind
from tools.text import plain_text

MOST_BYTES = 262_144
MOST_UNITS = 10_000_000
_LONGEST_TEXT = 2_000
_DEEPEST = 8

Text = Annotated[str, Field(min_length=1, max_length=120)]
Units = Annotated[int, Field(ge=1, le=MOST_UNITS, strict=True)]
M = TypeVar("M", bound=BaseModel)


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class InboundMessage(_Message):
    """A message: its own id, what it is, and the rest (docs/inbound.md)."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"id": "ack-17", "kind": "acknowledgement", "data": {"order": "PO-2001"}}]
        },
    )
    id: str = Field(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9._:-]+$")
    kind: Kind
    data: dict[str, Any]


class SaidLine(_Message):
    """What is said of (a part of) a line."""

    sku: Text
    code: Literal["IA", "IQ", "IP", "DR", "IB", "IS", "IR"]
    quantity: Units | None = None
    promise: date | None = None
    unit_price: Annotated[Decimal, Field(ge=0, lt=10**12)] | None = None
    substitute: Annotated[str, Field(max_length=120)] = ""


class Acknowledgement(_Message):
    """A supplier's answer to an order; no lines is a yes to all of it."""

    order: Text
    lines: list[SaidLine] = Field(default_factory=list, max_length=500)
    promise: date | None = None
    note: str = Field(default="", max_length=2_000)


class ShipmentStep(_Message):
    """One report of a carrier."""

    id: Text
    status: ShipmentStatus
    at: datetime
    description: str = Field(default="", max_length=2_000)
    place: str = Field(default="", max_length=500)


class ShipmentNews(_Message):
    """Where goods are."""

    order: Text
    shipment: Annotated[str, Field(min_length=1, max_length=64)]
    carrier: str = Field(default="", max_length=64)
    tracking: str = Field(default="", max_length=64)
    eta: date | None = None
    quantity: Units | None = None
    events: list[ShipmentStep] = Field(default_factory=list, max_length=200)


class CameLine(_Message):
    """What came of an item."""

    sku: Text
    quantity: Units
    rejected: Annotated[int, Field(ge=0, le=MOST_UNITS, strict=True)] = 0


class StrayLine(_Message):
    """What came and was not ordered."""

    sku: Text
    quantity: Units
    disposition: Literal["quarantine", "send_back"] = "quarantine"


class GoodsReceipt(_Message):
    """Goods that a warehouse took in."""

    order: Text
    delivery_note: Annotated[str, Field(min_length=1, max_length=60)]
    received_on: date | None = None
    lines: list[CameLine] = Field(default_factory=list, max_length=500)
    wrong: list[StrayLine] = Field(default_factory=list, max_length=100)


def read_envelope(body: bytes) -> InboundMessage:
    """Read a message, every text in it cleaned.

    Raises:
        InvalidInput: It is no such message; the sentence names the place, never the content.
    """
    try:
        raw = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidInput("the body is not JSON") from None
    return parsed(InboundMessage, _clean(raw, 0))


def parsed(shape: type[M], values: Any) -> M:
    """Read values into a shape.

    Raises:
        InvalidInput: They do not fit; the sentence names the first place.
    """
    try:
        return shape.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{where or 'the message'}: {first['msg']}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _clean(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise InvalidInput("the message is nested too deeply")
    if isinstance(value, str):
        return plain_text(value, longest=_LONGEST_TEXT)
    if isinstance(value, list):
        return [_clean(one, depth + 1) for one in value]
    if isinstance(value, dict):
        return {
            plain_text(name, longest=120): _clean(one, depth + 1) for name, one in value.items()
        }
    return value
