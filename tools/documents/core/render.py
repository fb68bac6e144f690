"""One order in the format its supplier reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.types import DocumentFormat
from tools.documents.core.order import Buyer, read_order
from tools.documents.core.table import order_csv


@dataclass(frozen=True)
class Document:
    """A file: its ending, its media type and its bytes."""

    suffix: str
    media_type: str
    content: bytes


def render(
    form: DocumentFormat | str, payload: Mapping[str, Any], buyer: Buyer | None = None
) -> Document:
    """Write an approved order down; the same payload gives the same bytes.

    Raises:
        InvalidInput: The payload is not an order, or its number does not fit the format.
    """
    buyer = buyer or Buyer()
    match DocumentFormat(form):
        case DocumentFormat.JSON:
            text = json.dumps(payload, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
            return Document("json", "application/json", text.encode())
        case DocumentFormat.CSV:
            return Document("csv", "text/csv", order_csv(payload).encode())
        case DocumentFormat.PDF:
            from tools.documents.core.pdf import order_pdf  # loads fonts: only where it is wanted

            return Document("pdf", "application/pdf", order_pdf(read_order(payload), buyer))
        case DocumentFormat.X12:
            from tools.documents.core.x12 import order_x12

            written = order_x12(read_order(payload), buyer)
            return Document("x12", "application/edi-x12", written.encode("ascii"))
        case DocumentFormat.UBL:
            from tools.documents.core.ubl import order_ubl

            return Document(
                "xml", "application/xml", order_ubl(read_order(payload), buyer).encode()
            )
