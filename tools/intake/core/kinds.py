"""What each kind of file holds: its fields, how columns are recognised, and the rules of a row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from db.types import ItemStatus
from tools.catalog.core import squeezed, text_key
from tools.errors import InvalidInput
from tools.intake.core.values import (
    MOST_MINOR,
    DateOrder,
    Parser,
    choice_parser,
    date_parser,
    future_date_parser,
    number_parser,
    optional,
    parse_breaks,
    parse_count,
    parse_currency,
    parse_days,
    parse_money,
    parse_positive,
    parse_sku,
    parse_units,
    parse_weekdays,
    sku_parser,
    text_parser,
)

Values = dict[str, Any]
_BREAKS = range(1, 6)
DATE_ORDER: Final = "date_order"  # a mapping key that names no column


@dataclass(frozen=True)
class Field:
    """One field of a kind, and the column names under which it is found, best first."""

    name: str
    aliases: tuple[str, ...]
    parser: Parser | None = None  # None: a date, whose parser depends on the file
    is_required: bool = False
    may_lie_ahead: bool = False

    def parser_for(self, order: DateOrder | None, today: date) -> Parser:
        """Parser of this field in one file."""
        if self.parser is not None:
            return self.parser
        if self.may_lie_ahead:
            return future_date_parser(order=order)
        parser = date_parser(order=order, today=today)
        return parser if self.is_required else optional(parser)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: sales, items, stock, suppliers or orders.
        fields: What a row may hold.
        rule: Checks a row as a whole: ("", "") or (field, reason).
        identity: What two rows of a file must not share; None for rows that may repeat.
        is_snapshot: It says how things stand now, so an older file that comes again counts anew.
    """

    name: str
    fields: tuple[Field, ...]
    rule: Callable[[Values], tuple[str, str]]
    identity: Callable[[Values], tuple[Any, ...]] | None
    is_snapshot: bool = False

    def field(self, name: str) -> Field:
        """Field of this name."""
        return next(field for field in self.fields if field.name == name)


_SKU = ("sku", "item", "itemcode", "itemno", "itemnumber", "stockcode", "article", "articleno",
        "articlenumber", "product", "productcode", "productid", "partnumber", "partno",
        "material", "itemid")  # fmt: skip
_QUANTITY = ("quantity", "qty", "units", "unitssold", "quantitysold", "soldquantity", "orderqty",
             "ordered", "orderedqty", "pieces", "pcs", "sold")  # fmt: skip
_DATE = ("date", "day", "on", "invoicedate", "orderdate", "salesdate", "saledate", "soldon", "ds",
         "transactiondate", "postingdate", "timestamp", "datetime", "ts")  # fmt: skip
_NAME = ("name", "description", "itemname", "productname", "title", "itemdescription")
_LOCATION = ("location", "warehouse", "site", "store", "branch", "locationcode", "warehousecode")
_SUPPLIER = ("supplier", "suppliercode", "vendor", "vendorcode", "supplierid", "vendorid")
_COST = ("unitcost", "cost", "purchaseprice", "standardcost", "costprice", "buyingprice")
_PRICE = ("unitprice", "price", "sellingprice", "salesprice", "listprice", "retailprice")


def _no_rule(_values: Values) -> tuple[str, str]:
    return "", ""


def _sales_rule(values: Values) -> tuple[str, str]:
    if values["quantity"] < 0 and not values["reference"]:
        return "quantity", "is negative and names no document that it returns or cancels"
    return "", ""


def _order_rule(values: Values) -> tuple[str, str]:
    if values["received"] > values["quantity"]:
        return "received", "is more than was ordered"
    if values["quantity"] * values["unit_price"] > MOST_MINOR:
        return "quantity", f"makes an amount above {MOST_MINOR // 100:,}"
    return "", ""


def _supplier_rule(values: Values) -> tuple[str, str]:
    most, least = values["max_units"], values["moq"]
    if most is not None and least is not None and most < least:
        return "max_units", "is below the minimum order"
    for number in _BREAKS:
        units, price = values[f"break{number}_units"], values[f"break{number}_price"]
        if (units is None) != (price is None):
            return f"break{number}_price", "and its units go together; one of them is empty"
    return "", ""


def price_breaks(values: Mapping[str, Any]) -> list[list[int]]:
    """Price breaks of a row, from one column or from pairs of columns; [] when it names none."""
    columns = {
        values[f"break{number}_units"]: values[f"break{number}_price"]
        for number in _BREAKS
        if values[f"break{number}_units"] is not None
    }
    return values["price_breaks"] or [list(pair) for pair in sorted(columns.items())]


def _break_fields() -> tuple[Field, ...]:
    names = [(f"break{number}", f"pricebreak{number}", f"tier{number}") for number in _BREAKS]
    units = [
        Field(f"{own[0]}_units", tuple(f"{name}{word}" for name in own for word in
                                       ("units", "qty", "quantity")), optional(parse_positive))
        for own in names
    ]  # fmt: skip
    prices = [
        Field(f"{own[0]}_price", tuple(f"{name}price" for name in own), optional(parse_money))
        for own in names
    ]
    return (*units, *prices)


def _location(name: str = "location") -> Field:
    return Field(name, _LOCATION, text_parser(32))


SALES = Kind(
    "sales",
    (
        Field("date", _DATE, is_required=True),
        Field("sku", _SKU, parse_sku, is_required=True),
        Field("quantity", _QUANTITY, parse_units, is_required=True),
        Field("reference", ("reference", "invoice", "invoiceno", "invoicenumber", "orderid",
                            "orderno", "ordernumber", "documentno", "receiptno", "transactionid"),
              text_parser(120)),
        Field("name", _NAME, text_parser(200)),
        Field("price", _PRICE, optional(parse_money)),
        _location(),
    ),
    _sales_rule,
    identity=None,
)  # fmt: skip

ITEMS = Kind(
    "items",
    (
        Field("sku", _SKU, parse_sku, is_required=True),
        Field("name", _NAME, text_parser(200, is_required=True), is_required=True),
        Field("uom", ("uom", "unit", "unitofmeasure", "stockunit"), text_parser(16)),
        Field("category", ("category", "group", "productgroup", "family"), text_parser(80)),
        Field("status", ("status", "lifecycle", "state"), choice_parser(ItemStatus)),
        Field("unit_cost", _COST, optional(parse_money)),
        Field("unit_price", _PRICE, optional(parse_money)),
        Field("alias", ("alias", "barcode", "ean", "gtin", "upc"), text_parser(200)),
    ),
    _no_rule,
    identity=lambda values: (values["sku"][1],),
)

STOCK = Kind(
    "stock",
    (
        Field("sku", _SKU, parse_sku, is_required=True),
        Field("on_hand", ("onhand", "stock", "stockonhand", "balance", "physical", "counted",
                          *_QUANTITY), parse_units, is_required=True),  # a bin may be below 0
        Field("allocated", ("allocated", "reserved", "committed"), optional(parse_count)),
        Field("quarantined", ("quarantined", "blocked", "quarantine"), optional(parse_count)),
        Field("backordered", ("backordered", "backorder", "backorders"), optional(parse_count)),
        Field("bin", ("bin", "binlocation", "shelf", "rack", "lot", "batch"), text_parser(64)),
        _location(),
    ),
    _no_rule,
    identity=lambda values: (
        values["sku"][1], text_key(values["location"]), text_key(values["bin"])
    ),
    is_snapshot=True,
)  # fmt: skip

SUPPLIERS = Kind(
    "suppliers",
    (
        Field("code", ("code", *_SUPPLIER, "id"), sku_parser(32), is_required=True),
        Field("name", ("name", "suppliername", "vendorname", "company"),
              text_parser(120, is_required=True), is_required=True),
        Field("email", ("email", "mail", "orderemail", "emailaddress"), text_parser(200)),
        Field("min_order_value", ("minordervalue", "minimumordervalue", "mov"),
              optional(parse_money)),
        Field("sku", _SKU, optional(parse_sku)),
        Field("supplier_sku", ("suppliersku", "vendorsku", "supplieritem", "supplieritemno"),
              text_parser(64)),
        Field("unit_price", (*_PRICE, *_COST), optional(parse_money)),
        Field("moq", ("moq", "minimumorder", "minimumorderquantity", "minqty", "minorderqty"),
              optional(parse_count)),
        Field("order_multiple", ("ordermultiple", "multiple", "lotsize", "increment"),
              optional(parse_positive)),
        Field("pack_units", ("packunits", "packsize", "casesize", "unitspercase", "caseqty"),
              optional(parse_positive)),
        Field("pack_uom", ("packuom", "packunit", "purchaseunit"), text_parser(16)),
        Field("lead_time_days", ("leadtimedays", "leadtime", "deliverydays", "leaddays"),
              optional(parse_days)),
        Field("max_units", ("maxunits", "maximumorder", "maxqty", "maxorderqty", "maximumquantity"),
              optional(parse_positive)),
        Field("currency", ("currency", "currencycode"), optional(parse_currency)),
        Field("working_days", ("workingdays", "workdays"), optional(parse_weekdays)),
        Field("price_breaks", ("pricebreaks", "quantitybreaks", "breaks"), optional(parse_breaks)),
        *_break_fields(),
    ),
    _supplier_rule,
    identity=lambda values: (values["code"][1], values["sku"] and values["sku"][1]),
)  # fmt: skip

ORDERS = Kind(
    "orders",
    (
        Field("number", ("number", "po", "pono", "ponumber", "order", "orderno", "ordernumber",
                         "purchaseorder", "orderid"), number_parser(32),
              is_required=True),
        Field("supplier", _SUPPLIER, text_parser(120, is_required=True), is_required=True),
        Field("sku", _SKU, parse_sku, is_required=True),
        Field("quantity", _QUANTITY, parse_positive, is_required=True),
        Field("received", ("received", "receivedqty", "receivedquantity", "delivered"),
              optional(parse_count, 0)),
        Field("unit_price", (*_PRICE, *_COST), optional(parse_money, 0)),
        Field("ordered", ("orderedon", "orderdate", "podate", "date", "sent", "senton")),
        Field("promise", ("promise", "promised", "promiseddate", "promisedate", "duedate", "due",
                          "eta", "expected", "deliverydate", "expecteddate"), may_lie_ahead=True),
        _location(),
    ),
    _order_rule,
    identity=lambda values: (text_key(values["number"]), values["sku"][1]),
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for kind in (SALES, ITEMS, STOCK, SUPPLIERS, ORDERS)}


def kind_named(name: str) -> Kind:
    """Kind of this name.

    Raises:
        InvalidInput: There is no such kind.
    """
    if name not in KINDS:
        raise InvalidInput(
            f"there is no kind of file {name!r}", next_step=f"Use one of {', '.join(KINDS)}."
        )
    return KINDS[name]


def match_columns(
    kind: Kind, header: Sequence[str], mapping: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Find the column of each field: as mapped, else by the field's known names.

    Args:
        kind: What the file holds.
        header: Column names as written in the file.
        mapping: Field to column for columns with other names; may hold ``date_order`` as well.

    Returns:
        Field to column name, for the fields that the file has.

    Raises:
        InvalidInput: A required field has no column, or the mapping names what is not there.
    """
    columns: dict[str, str] = {}
    for column in header:
        columns.setdefault(_comparable(column), column)
    found = _mapped(kind, header, columns, mapping or {})
    for field in kind.fields:
        known = [alias for alias in field.aliases if alias in columns]
        free = [columns[alias] for alias in known if columns[alias] not in found.values()]
        if field.name not in found and free:
            found[field.name] = free[0]
    missing = [field for field in kind.fields if field.is_required and field.name not in found]
    if missing:
        raise _missing(kind, missing, header)
    return found


def _mapped(
    kind: Kind, header: Sequence[str], columns: Mapping[str, str], mapping: Mapping[str, str]
) -> dict[str, str]:
    names = [field.name for field in kind.fields]
    found = {}
    for name, column in mapping.items():
        if name == DATE_ORDER:
            continue
        if name not in names:
            raise InvalidInput(
                f"{kind.name} has no field {name!r}",
                next_step=f"Map one of {', '.join(names)}.",
                details={"fields": names},
            )
        if _comparable(column) not in columns:
            raise InvalidInput(
                f"the file has no column {column!r}; it has {_listed(header)}",
                next_step=f"Name the column that holds {name}: --map {name}=COLUMN",
                details={"columns": list(header)},
            )
        found[name] = columns[_comparable(column)]
    return found


def _missing(kind: Kind, fields: Sequence[Field], header: Sequence[str]) -> InvalidInput:
    names = [field.name for field in fields]
    tried = {field.name: list(field.aliases) for field in fields}
    return InvalidInput(
        f"{kind.name} needs a column for {' and '.join(names)}; the file has {_listed(header)}; "
        f"looked for {', '.join(fields[0].aliases[:8])}",
        next_step=f"Name the column: --map {names[0]}=COLUMN",
        details={"missing": names, "columns": list(header), "tried": tried},
    )


def _listed(header: Sequence[str]) -> str:
    shown = ", ".join(repr(column[:40]) for column in header[:20])
    return shown + (", ..." if len(header) > 20 else "")


def _comparable(column: str) -> str:
    return squeezed(text_key(column)) or column
