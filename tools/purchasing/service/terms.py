"""From what was asked to lines a supplier accepts: item, quantity, price."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from db.models.catalog import Item, Location, PriceBreak, Supplier, SupplierItem
from db.models.planning import PlanningRun, Recommendation
from db.models.purchasing import PurchaseOrder
from db.types import ItemStatus
from tools.catalog.service import resolve_item, resolve_location, resolve_supplier
from tools.errors import InvalidInput, NotFound
from tools.purchasing.core.quantities import Choice, Terms, neighbours, orderable, price_for
from tools.purchasing.core.views import Check
from tools.purchasing.service.rows import offers_of

_STOCK_UNIT_WORDS = ("unit", "units", "piece", "pieces", "pcs", "ea", "each")


@dataclass(frozen=True)
class LineRequest:
    """A line as it was asked for: an item or a recommendation, a number, and of what.

    ``unit`` is the item's stock unit, the supplier's pack unit, or None for the stock unit.
    Without a quantity a recommendation gives its own.
    """

    quantity: float | None = None
    sku: str | None = None
    rec_id: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Wanted:
    """A request with the rows it names."""

    item: Item
    request: LineRequest
    recommendation: Recommendation | None


@dataclass(frozen=True)
class PricedLine:
    """A line that the supplier accepts."""

    item: Item
    units: int
    unit_price_minor: int
    recommendation_id: int | None
    checks: tuple[Check, ...] = ()


def destination(session: Session, asked: Sequence[Wanted], ship_to: str | None) -> Location:
    """Return where the goods go: as said, else where the recommendations need them.

    Raises:
        InvalidInput: The recommendations of one order need goods at several places.
        NotFound: There is no such place.
    """
    places = {line.recommendation.location_id for line in asked if line.recommendation}
    if ship_to is not None or not places:
        return resolve_location(session, ship_to)
    if len(places) > 1:
        codes = sorted(session.get_one(Location, place).code for place in places)
        raise InvalidInput(
            f"these recommendations are for several places: {', '.join(codes)}",
            next_step="Draft an order for each place.",
        )
    return session.get_one(Location, places.pop())


def earliest_need(asked: Sequence[Wanted], today: date) -> date | None:
    """Return the first day, from today on, on which a recommendation of the lines needs goods."""
    needed = [line.recommendation.need_by_on for line in asked if line.recommendation]
    return min((day for day in needed if day is not None and day >= today), default=None)


def wanted(session: Session, requests: Sequence[LineRequest]) -> list[Wanted]:
    """Find the items that are asked for.

    Raises:
        InvalidInput: There is no line, one names neither item nor recommendation, or two lines
            name the same item.
        NotFound: An item or a recommendation is unknown.
    """
    if not requests:
        raise InvalidInput("an order needs at least one line", next_step="Ask what to order.")
    found = [_wanted(session, request) for request in requests]
    skus = [line.item.sku for line in found]
    twice = sorted({sku for sku in skus if skus.count(sku) > 1})
    if twice:
        raise InvalidInput(
            f"{twice[0]!r} is on two lines", next_step="Put the whole quantity on one line."
        )
    return found


def _wanted(session: Session, request: LineRequest) -> Wanted:
    recommendation = None
    if request.rec_id:
        digits = request.rec_id.strip().upper().removeprefix("R-")
        key = int(digits) if digits.isdecimal() and len(digits) < 16 else -1
        recommendation = session.get(Recommendation, key)
        if recommendation is None:
            raise NotFound(
                f"there is no recommendation {request.rec_id!r}",
                next_step="Ask for the recommendations again; their numbers change every night.",
            )
    if request.sku:
        item = resolve_item(session, request.sku)
    elif recommendation is not None:
        item = session.get_one(Item, recommendation.item_id)
    else:
        raise InvalidInput("a line names a sku or a rec_id", next_step="Say which item.")
    if recommendation is not None and recommendation.item_id != item.id:
        raise InvalidInput(f"recommendation {request.rec_id!r} is not about {item.sku!r}")
    return Wanted(item, request, recommendation)


def choose_supplier(session: Session, lines: Sequence[Wanted], supplier: str | None) -> Supplier:
    """Return who gets the order: the one named, recommended, preferred, or the only one.

    Raises:
        InvalidInput: The supplier is not active, or nobody sells all the items.
    """
    if supplier:
        return _active(resolve_supplier(session, supplier))
    recommended = {line.recommendation.supplier_id for line in lines if line.recommendation}
    if len(recommended) == 1 and len(lines) == sum(1 for line in lines if line.recommendation):
        (supplier_id,) = recommended
        if supplier_id is not None:
            return _active(session.get_one(Supplier, supplier_id))
    return _best_seller(session, lines)


def _active(supplier: Supplier) -> Supplier:
    if not supplier.is_active:
        raise InvalidInput(
            f"supplier {supplier.code!r} is not active", next_step="Choose another supplier."
        )
    return supplier


def _best_seller(session: Session, lines: Sequence[Wanted]) -> Supplier:
    """Return who sells all the items: approved before not, then preferred, then cheaper."""
    sellers: list[dict[int, SupplierItem]] = []
    approved: set[int] = set()
    for line in lines:
        offers = session.exec(
            select(SupplierItem, Supplier)
            .join(Supplier, col(Supplier.id) == col(SupplierItem.supplier_id))
            .where(SupplierItem.item_id == line.item.id, col(Supplier.is_active).is_(True))
        ).all()
        sellers.append({offer.supplier_id: offer for offer, _ in offers})
        approved |= {supplier.id for _, supplier in offers if supplier.is_approved}
    common = set.intersection(*(set(offers) for offers in sellers))
    if not common:
        names = ", ".join(repr(line.item.sku) for line in lines)
        raise InvalidInput(
            f"no single supplier sells {names}",
            next_step="Make one draft for each supplier.",
            details={"skus": [line.item.sku for line in lines]},
        )
    first = sellers[0]

    def worth(supplier_id: int) -> tuple[bool, int, int, int]:
        preferred = sum(offers[supplier_id].is_preferred for offers in sellers)
        price = first[supplier_id].unit_price_minor
        return (supplier_id not in approved, -preferred, price, supplier_id)

    return session.get_one(Supplier, min(common, key=worth))


_OFFER = (
    select(SupplierItem)
    .where(
        col(SupplierItem.supplier_id) == bindparam("supplier_id"),
        col(SupplierItem.item_id) == bindparam("item_id"),
    )
    .execution_options(populate_existing=True)
)
_BREAKS = select(
    PriceBreak.supplier_item_id, PriceBreak.min_units, PriceBreak.unit_price_minor
).where(col(PriceBreak.supplier_item_id).in_(bindparam("offer_ids", expanding=True)))


def terms_of(session: Session, supplier: Supplier, item: Item) -> Terms:
    """Return under which terms a supplier sells an item now.

    Raises:
        InvalidInput: The supplier does not sell it.
    """
    asked = {"supplier_id": supplier.id, "item_id": item.id}
    offer = session.exec(_OFFER, params=asked).one_or_none()
    if offer is None:
        raise not_sold(supplier, item)
    return _terms(session, [offer])[item.id]


def terms_of_lines(session: Session, order: PurchaseOrder) -> dict[int, Terms]:
    """Return the terms of an order's supplier now, by item; one that it stopped to sell has none.

    Two queries however many lines there are.
    """
    return _terms(session, list(offers_of(session, order).values()))


def not_sold(supplier: Supplier, item: Item) -> InvalidInput:
    """Return the refusal of an item that the supplier does not sell."""
    return InvalidInput(
        f"{supplier.name!r} does not sell {item.sku!r}",
        next_step="Compare the suppliers of the item and choose one of them.",
    )


def _terms(session: Session, offers: Sequence[SupplierItem]) -> dict[int, Terms]:
    breaks: dict[int, list[tuple[int, int]]] = {offer.id: [] for offer in offers}
    for offer_id, least, price in session.exec(_BREAKS, params={"offer_ids": list(breaks)}):
        breaks[offer_id].append((least, price))
    return {
        offer.item_id: Terms(
            unit_price_minor=offer.unit_price_minor,
            moq_units=offer.moq_units,
            order_multiple_units=offer.order_multiple_units,
            max_units=offer.max_units,
            pack_uom=offer.pack_uom,
            pack_units=offer.pack_units,
            breaks=tuple(breaks[offer.id]),
        )
        for offer in offers
    }


def priced(
    item: Item, request: LineRequest, terms: Terms, *, recommendation: Recommendation | None,
    daily_demand: float | None,
) -> PricedLine:  # fmt: skip
    """Return the line that the supplier accepts for a request.

    Raises:
        InvalidInput: The item is discontinued, the unit is unknown, or the quantity is broken,
            out of range or above the supplier's maximum.
    """
    checks = _life_checks(item)
    quantity = request.quantity
    if quantity is None and recommendation is not None:
        quantity = recommendation.order_units
    if quantity is None:
        raise InvalidInput(f"how many of {item.sku!r}?", next_step="Ask for the quantity.")
    unit_units = _unit_units(item, request.unit, terms)
    asked = _whole(quantity, item, unit_units=unit_units, terms=terms, daily_demand=daily_demand)
    units = orderable(terms, asked * unit_units)
    if units != asked * unit_units:
        checks.append(_rounded(item, asked * unit_units, units, terms))
    return PricedLine(
        item=item,
        units=units,
        unit_price_minor=price_for(terms, units),
        recommendation_id=recommendation.id if recommendation else None,
        checks=tuple(checks),
    )


def detected_at(session: Session, lines: Sequence[Wanted]) -> PlanningRun | None:
    """Return the first planning run that saw the need of these lines."""
    runs = [
        session.get_one(PlanningRun, line.recommendation.run_id)
        for line in lines
        if line.recommendation
    ]
    return min(runs, key=lambda run: run.as_of_at, default=None)


def _life_checks(item: Item) -> list[Check]:
    if item.status is ItemStatus.DISCONTINUED:
        raise InvalidInput(
            f"{item.sku!r} is discontinued", next_step="Order the item that replaces it, if any."
        )
    if item.status is ItemStatus.PHASE_OUT:
        return [Check("phase_out", "warning", f"{item.sku} is being phased out")]
    return []


def _unit_units(item: Item, unit: str | None, terms: Terms) -> int:
    """Return how many stock units one of the asked unit holds."""
    if unit is None:
        return 1
    word = unit.strip().casefold()
    singular = {word, word.removesuffix("s"), word.removesuffix("es")}
    if singular & {terms.pack_uom.casefold()}:
        return terms.pack_units
    if singular & {item.uom.casefold()} or word in _STOCK_UNIT_WORDS:
        return 1
    raise InvalidInput(
        f"{item.sku!r} is not ordered by {unit!r}",
        next_step=f"Give the quantity in {item.uom} or in {terms.pack_uom}.",
        details={"units": sorted({item.uom, terms.pack_uom})},
    )


def _whole(
    quantity: float, item: Item, *, unit_units: int, terms: Terms, daily_demand: float | None
) -> int:
    if quantity != quantity or quantity in (float("inf"), float("-inf")) or quantity <= 0:
        raise InvalidInput(
            f"a quantity is a positive whole number, got {quantity!r}",
            next_step="Ask for the quantity again.",
        )
    if quantity == int(quantity):
        return int(quantity)
    choices = neighbours(quantity, unit_units=unit_units, pack_units=terms.pack_units)
    unit = terms.pack_uom if unit_units > 1 else item.uom
    raise InvalidInput(
        f"{item.sku!r} is ordered in whole units of {unit!r}, got {quantity!r}",
        next_step="Ask which of the options is meant.",
        details={"options": [_option(choice, daily_demand) for choice in choices]},
    )


def _option(choice: Choice, daily_demand: float | None) -> dict[str, int | float | None]:
    cover = round(choice.units / daily_demand, 1) if daily_demand else None
    return {"packs": choice.packs, "units": choice.units, "cover_days": cover}


def _rounded(item: Item, asked: int, units: int, terms: Terms) -> Check:
    why = f"multiple {terms.order_multiple_units:,}"
    if asked < terms.moq_units:
        why = f"minimum {terms.moq_units:,}, {why}"
    text = f"{item.sku}: {asked:,} rounded up to {units:,} {item.uom} ({why})"
    return Check("rounded", "warning", text)
