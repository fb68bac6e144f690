"""The order as an OASIS UBL 2.1 Order."""

import uuid
from xml.etree import ElementTree as ET

from tools.documents.core.order import Buyer, Line, Order, Signature

_ORDER = "urn:oasis:names:specification:ubl:schema:xsd:Order-2"
_CAC = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
_CBC = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"
# UN/ECE Recommendations 20 and 21; what is not here goes as ZZ, mutually defined.
_UNITS = {
    "each": "C62", "piece": "H87", "pcs": "H87", "unit": "C62", "box": "XBX", "case": "XCS",
    "carton": "XCT", "pack": "XPK", "pallet": "XPX", "pair": "PR", "dozen": "DZN", "set": "SET",
    "roll": "XRO", "bag": "XBG", "bottle": "XBO", "kg": "KGM", "g": "GRM", "lb": "LBR", "l": "LTR",
    "m": "MTR",
}  # fmt: skip


def order_ubl(order: Order, buyer: Buyer) -> str:
    """Return the document as XML in UTF-8; the UUID comes from the delivery's key."""
    root = ET.Element("Order", {"xmlns": _ORDER, "xmlns:cac": _CAC, "xmlns:cbc": _CBC})
    _cbc(root, "UBLVersionID", "2.1")
    _cbc(root, "ID", order.number)
    _cbc(root, "UUID", str(uuid.uuid5(uuid.NAMESPACE_URL, order.key)))
    _cbc(root, "IssueDate", f"{order.issued_at:%Y-%m-%d}")
    _cbc(root, "IssueTime", f"{order.issued_at:%H:%M:%S}Z")
    _cbc(root, "Note", f"Revision {order.revision}. The same customer reference is the same order.")
    _cbc(root, "DocumentCurrencyCode", order.currency)
    _cbc(root, "CustomerReference", order.key)
    _cbc(root, "LineCountNumeric", str(len(order.lines)))
    for position, signature in enumerate(order.signatures, start=1):
        _signature(root, order, signature, position)
    _party(_cac(root, "BuyerCustomerParty"), buyer.edi_id, buyer.name)
    _party(_cac(root, "SellerSupplierParty"), order.supplier_code, order.supplier_name)
    _delivery(root, order)
    total = _cac(root, "AnticipatedMonetaryTotal")
    _amount(total, "LineExtensionAmount", order.total, order.currency)
    _amount(total, "PayableAmount", order.total, order.currency)
    for line in order.lines:
        _line(root, line, order.currency)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _signature(root: ET.Element, order: Order, signed: Signature, position: int) -> None:
    signature = _cac(root, "Signature")
    _cbc(signature, "ID", f"{order.approval}-{position}")
    _cbc(signature, "Note", signed.meaning)
    _cbc(signature, "ValidationDate", f"{signed.signed_at:%Y-%m-%d}")
    _cbc(signature, "ValidationTime", f"{signed.signed_at:%H:%M:%S}Z")
    _cbc(_cac(_cac(signature, "SignatoryParty"), "PartyName"), "Name", signed.name)


def _party(holder: ET.Element, code: str, name: str) -> None:
    party = _cac(holder, "Party")
    _cbc(_cac(party, "PartyIdentification"), "ID", code)
    _cbc(_cac(party, "PartyName"), "Name", name)


def _delivery(root: ET.Element, order: Order) -> None:
    delivery = _cac(root, "Delivery")
    location = _cac(delivery, "DeliveryLocation")
    _cbc(location, "ID", order.ship_to)
    if order.need_by is not None:
        period = _cac(delivery, "RequestedDeliveryPeriod")
        _cbc(period, "EndDate", order.need_by.isoformat())


def _line(root: ET.Element, line: Line, currency: str) -> None:
    unit = _UNITS.get(line.uom.casefold(), "ZZ")
    item_line = _cac(_cac(root, "OrderLine"), "LineItem")
    _cbc(item_line, "ID", str(line.number))
    _cbc(item_line, "Quantity", str(line.units), unitCode=unit)
    _amount(item_line, "LineExtensionAmount", line.amount, currency)
    price = _cac(item_line, "Price")
    _amount(price, "PriceAmount", line.unit_price, currency)
    _cbc(price, "BaseQuantity", "1", unitCode=unit)
    item = _cac(item_line, "Item")
    _cbc(item, "Name", line.name or line.sku)
    _cbc(_cac(item, "BuyersItemIdentification"), "ID", line.sku)
    if line.supplier_sku:
        _cbc(_cac(item, "SellersItemIdentification"), "ID", line.supplier_sku)


def _cac(parent: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(parent, f"cac:{name}")


def _cbc(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, f"cbc:{name}", attributes).text = _written(text)


def _amount(parent: ET.Element, name: str, amount: str, currency: str) -> None:
    _cbc(parent, name, amount, currencyID=currency)


def _written(text: str) -> str:
    """Leave out the two signs that XML cannot hold and that are no control characters."""
    return text.replace("\ufffe", "").replace("\uffff", "")
