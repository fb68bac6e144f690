"""Answers what-if questions: the plan under a change, and what it does to stock; writes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import Session, col, select

from db.models.catalog import Item, Location, Supplier
from tools.cases.core import Case
from tools.cases.service import cases as read_cases
from tools.cases.service import today_of
from tools.catalog.service import resolve_item, resolve_location, resolve_supplier
from tools.clock import Clock
from tools.company import Company
from tools.errors import InvalidInput, NotEnoughData, NotFound
from tools.planning.service import known_policy
from tools.reach.service import PairsHere, items_here
from tools.simulation.core.comparison import (
    hardest_hit,
    item_json,
)
from tools.simulation.core.scenario import ScenarioRequest, changes_data, scenario_data
from tools.simulation.service.running import DEFAULT_SEED, Desk, Progress

_WORST = 10


@dataclass(frozen=True)
class Wanted:
    """Which items a what-if is about: one, those of a category or a supplier, or all."""

    item: Item | None = None
    location: Location | None = None
    category: str | None = None
    supplier: Supplier | None = None


def wanted_of(
    session: Session,
    *,
    sku: str | None = None,
    category: str | None = None,
    supplier: str | None = None,
    everything: bool = False,
    location: str | None = None,
) -> Wanted:
    """Find what a question names; one item is looked at in one place, by default the usual one.

    Raises:
        InvalidInput: Nothing is named, or more than one thing.
        NotFound: There is no such item, supplier or location.
        Ambiguous: Several are called this.
    """
    named = {"sku": sku, "category": category, "supplier": supplier, "everything": everything}
    given = [name for name, value in named.items() if value not in (None, False)]
    if len(given) != 1:
        raise InvalidInput(
            f"a what-if is about one of {', '.join(named)}, got {' and '.join(given) or 'none'}",
            next_step="Name a SKU, a category or a supplier, or say everything.",
        )
    place = None if location is None else resolve_location(session, location)
    if sku is not None:
        return Wanted(resolve_item(session, sku), place or resolve_location(session, None))
    seller = None if supplier is None else resolve_supplier(session, supplier)
    return Wanted(location=place, category=category, supplier=seller)


def answer(
    session: Session,
    wanted: Wanted,
    request: ScenarioRequest,
    *,
    clock: Clock,
    company: Company,
    seed: int = DEFAULT_SEED,
    most_items: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Answer a what-if about one item or many; see ``run_scenario`` and ``run_scenarios``."""
    if wanted.item is not None and wanted.location is not None:
        return run_scenario(
            session, wanted.item, wanted.location, request, clock=clock, company=company, seed=seed
        )
    return run_scenarios(
        session, wanted, request, clock=clock, company=company, seed=seed, most_items=most_items,
        progress=progress,
    )  # fmt: skip


def run_scenario(
    session: Session,
    item: Item,
    location: Location,
    request: ScenarioRequest,
    *,
    clock: Clock,
    company: Company,
    seed: int = DEFAULT_SEED,
) -> dict[str, Any]:
    """Return the item's plan as it is and under the scenario, and what both do to its stock.

    Raises:
        InvalidInput: A change is outside its range or the dates do not fit.
        NotEnoughData: There is no forecast, or nobody sells the item.
    """
    today = today_of(clock, company)
    change = replace(request.change(today), lead_time_days=0.0)  # that is among the terms
    known_policy(session, item, location, clock=clock, company=company)
    found = read_cases(session, today, [item.id], location.id)
    desk = Desk(session, request, clock=clock, company=company)
    baseline = desk.advise(found)
    scenario = desk.advise([request.changed(case) for case in found], change)
    data = scenario_data(baseline[0], scenario[0], request, today)
    return data | {"simulation": desk.simulation(found, seed=seed).data(company.currency)}


def run_scenarios(
    session: Session,
    wanted: Wanted,
    request: ScenarioRequest,
    *,
    clock: Clock,
    company: Company,
    seed: int = DEFAULT_SEED,
    most_items: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return what a scenario does to the stock of many items.

    Args:
        session: Database session.
        wanted: Which items.
        request: What is supposed; with a supplier, only that supplier's terms change.
        clock: Today.
        company: Currency and carrying rate.
        seed: Of the demand and lead times that baseline and scenario both meet.
        most_items: More are refused: nobody waits that long in a chat. None is no limit.
        progress: Called with (items done, items in all).

    Raises:
        InvalidInput: A change is outside its range, the dates do not fit, or it is too many items.
        NotFound: There is no such category.
        NotEnoughData: None of the items can be planned.
    """
    today = today_of(clock, company)
    request.change(today)
    desk = Desk(session, request, clock=clock, company=company, supplier=wanted.supplier)
    found, left_out = desk.plannable(_cases(session, wanted, clock, company))
    if not found:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        raise NotEnoughData(
            f"none of these items can be simulated: {reasons or 'there are none'}",
            next_step="Load sales and supplier terms, then run the plan.",
        )
    if most_items is not None and len(found) > most_items:
        raise InvalidInput(
            f"{len(found):,} items are more than the {most_items:,} that can be played through at "
            "once here",
            next_step="Name a category, a supplier or a location, or use `quartermaster what-if`.",
        )
    result = desk.simulation(found, seed=seed, progress=progress)
    return {
        "scope": _scope(wanted),
        "items": len(found),
        "left_out": left_out,
        "changes": changes_data(request),
        "horizon_days": request.horizon_days,
        "simulation": result.data(company.currency),
        "hardest_hit": [
            item_json(one, company.currency) for one in hardest_hit(result.items, _WORST)
        ],
        "saved": False,
    }


def warnings_of(data: Mapping[str, Any]) -> list[str]:
    """Return what to be careful about in an answer."""
    left_out = data.get("left_out", {})
    notes = [f"{count:,} items left out: {reason}" for reason, count in left_out.items()]
    return ["nothing was changed", *notes, *data["simulation"]["unrated"]]


def _scope(wanted: Wanted) -> dict[str, Any]:
    return {
        "category": wanted.category,
        "supplier": None if wanted.supplier is None else wanted.supplier.code,
        "location": None if wanted.location is None else wanted.location.code,
    }


def _cases(session: Session, wanted: Wanted, clock: Clock, company: Company) -> list[Case]:
    ids: list[int] | None = None
    if wanted.category is not None:
        inside = select(Item.id).where(Item.category == wanted.category, *items_here(session))
        is_name = wanted.category.isprintable()  # a database may refuse other characters
        ids = list(session.exec(inside)) if is_name else []
        if not ids:
            raise _unknown_category(session, wanted.category)
    place = None if wanted.location is None else wanted.location.id
    here = PairsHere(session)
    found = read_cases(session, today_of(clock, company), ids, place)
    return [case for case in found if (case.item_id, case.location_id) in here]


def _unknown_category(session: Session, name: str) -> NotFound:
    statement = select(col(Item.category)).where(col(Item.category) != "", *items_here(session))
    known = session.scalars(statement.distinct().order_by(col(Item.category)).limit(30)).all()
    return NotFound(
        f"there is no item of the category {name!r}",
        next_step=f"Categories are {', '.join(map(repr, known)) or 'not kept'}.",
    )
