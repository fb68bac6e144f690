"""An approved order as an e-mail: who it is from and to, what it says, what is attached."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from email import policy
from email.message import EmailMessage
from typing import Any

from db.types import DocumentFormat
from tools.documents.core.order import Buyer, Order, read_order
from tools.documents.core.render import Document, render
from tools.errors import InvalidInput
from tools.text import plain_line

_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?=.{1,253}$)"
    r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)


def check_address(text: str) -> str:
    """Return an e-mail address as it was given.

    Raises:
        InvalidInput: It is not one plain address: no name, no list, no second recipient.

    >>> check_address("orders@acme.example")
    'orders@acme.example'
    """
    local, _, _ = text.partition("@")
    is_dotted = local.startswith(".") or local.endswith(".") or ".." in local
    if len(text) > 200 or is_dotted or not _ADDRESS.fullmatch(text):
        raise InvalidInput(
            f"{text!r} is not an e-mail address",
            next_step="Give one plain address, such as orders@acme.example.",
        )
    return text


def message_id(key: str, sender: str) -> str:
    """Return the Message-ID of a delivery, always the same for its key.

    >>> message_id("po:PO-2001:v1:1b2c", "buying@shop.example")
    '<po.PO-2001.v1.1b2c.2fee04a2@shop.example>'
    """
    readable = re.sub(r"[^A-Za-z0-9-]+", ".", key).strip(".")[:80]
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return f"<{readable}.{digest}@{sender.rpartition('@')[2]}>"


def order_mail(
    key: str, payload: Mapping[str, Any], *, sender: str, buyer: Buyer, at: datetime
) -> EmailMessage:
    """Return the message: a page that people read as PDF, and the lines as CSV.

    Where the supplier reads another format, that file is attached as well. No text of the order
    gets into a header but its number, on one line.

    Args:
        key: The delivery's key.
        payload: What was approved.
        sender: Our address.
        buyer: Who we are.
        at: Now, for the Date header.

    Raises:
        InvalidInput: The approved address is none, or the order cannot be written.
    """
    order = read_order(payload)
    delivery = payload["delivery"]
    message = EmailMessage(policy=policy.SMTP.clone(cte_type="7bit"))
    message["From"] = check_address(sender)
    message["To"] = check_address(str(delivery["address"]))
    message["Subject"] = plain_line(f"Purchase order {order.number}", longest=120)
    message["Date"] = at
    message["Message-ID"] = message_id(key, sender)
    message["Auto-Submitted"] = "auto-generated"
    message["X-Quartermaster-Key"] = re.sub(r"[^\x21-\x7e]", "_", key)[:120]
    message.set_content(_text(order, buyer))
    asked = DocumentFormat(str(delivery["format"]))
    for form in dict.fromkeys((DocumentFormat.PDF, DocumentFormat.CSV, asked)):
        _attach(message, order, render(form, payload, buyer))
    message.set_boundary(hashlib.sha256(b"boundary" + key.encode()).hexdigest()[:40])
    return message


def _attach(message: EmailMessage, order: Order, document: Document) -> None:
    kind, _, subtype = document.media_type.partition("/")
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", order.number)[:64]
    message.add_attachment(
        document.content, maintype=kind, subtype=subtype,
        filename=f"{stem}-r{order.revision}.{document.suffix}",
    )  # fmt: skip


def _grouped(amount: str) -> str:
    whole, dot, rest = amount.partition(".")
    return f"{int(whole):,}{dot}{rest}"


def _text(order: Order, buyer: Buyer) -> str:
    need_by = "" if order.need_by is None else f"Needed by: {order.need_by.isoformat()}\n"
    count = "1 line" if len(order.lines) == 1 else f"{len(order.lines)} lines"
    signed = "\n".join(
        f"{one.name}, {one.signed_at:%Y-%m-%d %H:%M:%S} UTC, meaning: {one.meaning}"
        for one in order.signatures
    )
    return (
        f"Dear {order.supplier_name},\n\n"
        f"please find our purchase order {order.number} attached ({count}, "
        f"{_grouped(order.total)} {order.currency}).\n\n"
        f"Deliver to: {order.ship_to}\n{need_by}"
        f"Customer reference, please quote: {order.key}\n"
        "The same reference is the same order: book it once.\n\n"
        f"Signed electronically:\n{signed}\n\n{buyer.name}\n"
    )
