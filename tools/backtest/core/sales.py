"""Rows of a sales history: what a file may hold beside its sales, and what became of each row."""

from dataclasses import dataclass, field

import pandas as pd

from tools.intake.core.kinds import ITEMS, ORDERS, SALES, SUPPLIERS, Field, Kind
from tools.intake.core.values import choice_parser, optional, text_parser

_IN_STOCK = ("instock", "isinstock", "wasinstock", "hadstock", "onshelf")
_NO = ("0", "false", "n", "no", "out", "out_of_stock", "f")
_YES = ("1", "in", "in_stock", "t", "true", "y", "yes")


def is_in_stock(word: str | None) -> bool:
    """Read the word of a row; a row without one was in stock.

    Example:
        >>> is_in_stock("no"), is_in_stock("yes"), is_in_stock(None)
        (False, True, True)
    """
    return word not in _NO


HISTORY = Kind(
    "history",
    (
        *SALES.fields,
        ITEMS.field("unit_cost"),
        Field("in_stock", _IN_STOCK, optional(choice_parser((*_NO, *_YES)))),
        SUPPLIERS.field("lead_time_days"),
        SUPPLIERS.field("moq"),
        SUPPLIERS.field("order_multiple"),
        Field("supplier", ORDERS.field("supplier").aliases, text_parser(120)),
    ),
    SALES.rule,
    identity=None,
)


@dataclass(frozen=True)
class RawSales:
    """Checked rows of a history, before anything was chosen.

    Attributes:
        rows: Columns sku (canonical), written (as the file spells it), name, location, on
            (datetime64), units, price, unit_cost (money, NaN where unknown), is_in_stock,
            lead_time_days, moq, multiple (NaN where unknown), group (whose deliveries are late
            together); several rows of an item and day may stand.
        source: Where it comes from, in words.
        rows_read: Of the file.
        returned_units: Units that came back; they do not reduce demand.
        set_aside: Reason to number of rows that were not used.
        examples: The first rows set aside: number, field, reason, value.
    """

    rows: pd.DataFrame
    source: str
    rows_read: int
    returned_units: int = 0
    set_aside: dict[str, int] = field(default_factory=dict)
    examples: tuple[dict[str, str | int], ...] = ()
