"""The order as an ANSI X12 850 in version 004010: one interchange, one group, one transaction.

Numbers that the standard wants are made of the delivery's key, so that every copy of an order is
the same bytes and a receiver that checks control numbers recognises it.
"""

import hashlib
import unicodedata
from collections.abc import Iterator

from tools.documents.core.order import Buyer, Line, Order
from tools.errors import InvalidInput

_ELEMENT, _PART, _END = "*", ">", "~"
_LONGEST_NUMBER = 22  # BEG03
# X12 data element 355; what is not here goes as ZZ, mutually defined, and is named in the text.
_UNITS = {
    "each": "EA", "piece": "PC", "pcs": "PC", "unit": "UN", "box": "BX", "case": "CA",
    "carton": "CT", "pack": "PK", "pallet": "PL", "pair": "PR", "dozen": "DZ", "set": "ST",
    "roll": "RL", "bag": "BG", "bottle": "BO", "kg": "KG", "g": "GR", "lb": "LB", "l": "LT",
    "m": "MR",
}  # fmt: skip

_SPELLED = str.maketrans({
    "ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE",
    "đ": "d", "Đ": "D", "\u2013": "-", "\u2014": "-", "\u2019": "'",
})  # fmt: skip


def order_x12(order: Order, buyer: Buyer) -> str:
    """Return the interchange, a segment a line, ASCII.

    A name that is longer than its element is cut, a sign outside ASCII becomes its base letter or
    a question mark, and a sign that would end an element becomes a space. What identifies
    something, a number or an article, is never changed.

    Raises:
        InvalidInput: An identifier does not fit: written otherwise it would name something else.
    """
    control = control_number(order.key)
    sender, receiver = element(buyer.edi_id, 15), element(order.supplier_code, 15) or "SUPPLIER"
    day, time = f"{order.issued_at:%Y%m%d}", f"{order.issued_at:%H%M}"
    body = list(_transaction(order, buyer, day=day))
    segments = [
        ["ISA", "00", " " * 10, "00", " " * 10, "ZZ", f"{sender:15}", "ZZ", f"{receiver:15}",
         day[2:], time, "U", "00401", f"{control:09}", "0", "P", _PART],
        ["GS", "PO", sender, receiver, day, time, str(control), "X", "004010"],
        ["ST", "850", "0001"],
        *body,
        ["SE", str(len(body) + 2), "0001"],
        ["GE", "1", str(control)],
        ["IEA", "1", f"{control:09}"],
    ]  # fmt: skip
    return "".join(f"{_ELEMENT.join(_trimmed(segment))}{_END}\n" for segment in segments)


def control_number(key: str) -> int:
    """Return the interchange's number, 1 to 999,999,999, always the same for a key.

    >>> control_number("po:PO-2001:v1:aaaaaaaaaaaaaaaa")
    722172715
    """
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:8], "big") % 999_999_999 + 1


def element(text: str, longest: int) -> str:
    """Return a text that fits into an element and can end none.

    >>> element("Müller*~Söhne > Co", 15)
    'Muller Sohne Co'
    """
    folded = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    letters = "".join(sign for sign in folded if not unicodedata.combining(sign))
    ascii_only = letters.encode("ascii", "replace").decode()
    kept = "".join(sign if sign not in "*~>^|\\" and sign.isprintable() else " "
                   for sign in ascii_only)  # fmt: skip
    return " ".join(kept.split())[:longest].rstrip()


def _transaction(order: Order, buyer: Buyer, *, day: str) -> Iterator[list[str]]:
    """Yield the segments between ST and SE."""
    yield ["BEG", "00", "SA", _same(order.number, _LONGEST_NUMBER), "", day]
    yield ["CUR", "BY", order.currency]
    yield ["REF", "CR", element(order.key.rpartition(":")[2], 30), element(order.key, 80)]
    if order.need_by is not None:
        yield ["DTM", "002", f"{order.need_by:%Y%m%d}"]
    for signature in order.signatures:
        yield ["N9", "ZZ", element(order.approval, 30) or "APPROVAL"]
        said = f"Signed ({signature.meaning}) by {signature.name}"
        yield ["MSG", element(f"{said[:200]} on {signature.signed_at:%Y-%m-%d %H:%M} UTC", 264)]
    yield from _party("BY", buyer.name, buyer.edi_id)
    yield from _party("SE", order.supplier_name, order.supplier_code)
    yield from _party("ST", order.ship_to, order.ship_to)
    for line in order.lines:
        yield from _line(line)
    yield ["CTT", str(len(order.lines)), str(order.units)]
    yield ["AMT", "TT", order.total]


def _same(identifier: str, longest: int) -> str:
    if element(identifier, longest) != identifier:
        raise InvalidInput(
            f"{identifier!r} cannot be written in an X12 order",
            next_step="Give it a number of ASCII letters and digits, or send the supplier another "
            "format.",
        )
    return identifier


def _party(role: str, name: str, code: str) -> Iterator[list[str]]:
    named, coded = element(name, 60), element(code, 80)
    shown = named or coded or "UNKNOWN"
    yield ["N1", role, shown, *(["92", coded] if len(coded) >= 2 else [])]


def _line(line: Line) -> Iterator[list[str]]:
    unit = _UNITS.get(line.uom.casefold(), "ZZ")
    ids = [("BP", _same(line.sku, 48)), ("VP", _same(line.supplier_sku, 48))]
    pairs = [part for name, value in ids if value for part in (name, value)]
    yield ["PO1", str(line.number), str(line.units), unit, line.unit_price, "", *pairs]
    told = line.name if unit != "ZZ" else f"{line.name} ({line.uom})"
    if described := element(told, 80):
        yield ["PID", "F", "", "", "", described]


def _trimmed(segment: list[str]) -> list[str]:
    while segment and not segment[-1]:
        segment = segment[:-1]
    return segment
