"""One import at work: what was asked for and what was looked up so far."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from db.models.ingestion import Load
from db.types import OrderState
from tools.intake.core.kinds import Kind, Values
from tools.intake.core.rows import GoodRow


@dataclass(frozen=True)
class KnownTerms:
    """What is stored about an item of a supplier and decides whether a row fits."""

    moq_units: int
    max_units: int | None


@dataclass(frozen=True)
class KnownOrder:
    """A stored order that a file names again; lines are (ordered, received) by item."""

    id: int
    supplier_id: int
    location_id: int
    is_imported: bool
    state: OrderState
    lines: dict[int, tuple[int, int]]


@dataclass
class Desk:
    """One import at work. What was looked up is kept: a file names the same things again.

    Attributes:
        load: The import.
        kind: What its file holds.
        currency: Of prices in the file.
        at: When it began.
        items: Ids by canonical SKU.
        locations: Ids by code as written; None is unknown.
        suppliers: Ids by code or name as written (orders) or by canonical code (suppliers).
        terms: Stored terms, and those of earlier rows of the file, by supplier's code and item.
        numbers: Ids of all stored orders by canonical number; None until they are needed.
        orders: The stored orders that the file names, by canonical number.
        heads: Supplier and place of the orders of this file, by canonical number.
    """

    load: Load
    kind: Kind
    currency: str
    at: datetime
    items: dict[str, int] = field(default_factory=dict)
    locations: dict[str, int | None] = field(default_factory=dict)
    suppliers: dict[str, int | None] = field(default_factory=dict)
    terms: dict[tuple[str, int], KnownTerms] = field(default_factory=dict)
    numbers: dict[str, int] | None = None
    orders: dict[str, KnownOrder] = field(default_factory=dict)
    heads: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def may_create_locations(self) -> bool:
        """Only the first file of an empty company brings its places along."""
        return bool(self.load.report["may_create_locations"])

    def count(self, name: str, more: int) -> None:
        """Add to a number that the report shows; stored with the next watermark."""
        report = self.load.report
        self.load.report = report | {name: report.get(name, 0) + more}


@dataclass
class Batch:
    """Checked rows made ready before the database is locked.

    Attributes:
        rows: The good rows.
        named: The first row of each SKU, by canonical SKU.
        sold: Sales only: units by (canonical SKU, location code, day).
        returned: Sales only: returned units by the same key.
    """

    rows: list[GoodRow]
    named: dict[str, Values] = field(default_factory=dict)
    sold: dict[tuple[str, str, date], int] = field(default_factory=dict)
    returned: dict[tuple[str, str, date], int] = field(default_factory=dict)

    def texts(self, name: str) -> list[Any]:
        """Different values of a field, in order of appearance."""
        return list(dict.fromkeys(row.values[name] for row in self.rows if name in row.values))


def prepare(kind: Kind, rows: list[GoodRow]) -> Batch:
    """Add up sales by item, place and day; name the SKUs."""
    batch = Batch(rows)
    named, sold, returned = batch.named, batch.sold, batch.returned
    for _, values in rows:
        sku = values["sku"]
        if sku is not None and sku[1] not in named:
            named[sku[1]] = values
        if kind.name == "sales":
            key = (sku[1], values["location"], values["date"])
            quantity = values["quantity"]
            sold[key] = sold.get(key, 0) + max(quantity, 0)
            if quantity < 0:
                returned[key] = returned.get(key, 0) - quantity
    return batch
