"""Finds the recommendation behind a question: why this item, why this quantity."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlmodel import Session, col, select

from db.models.catalog import Item, Location
from db.models.planning import PlanningRun, Recommendation
from db.types import Action
from tools.cases.service import day_in_company, today_of
from tools.catalog.service import resolve_item, resolve_location
from tools.clock import Clock
from tools.company import Company
from tools.errors import InvalidInput, NotFound
from tools.planning.core.tables import position_key
from tools.planning.service import (
    advise_pair,
    as_recommendation,
    fresh_advice,
    latest_recommendations,
    latest_run,
)
from tools.positions.core import StockPosition
from tools.positions.service import positions_by_pair
from tools.reach.service import PairsHere

_CHUNK = 2000


def items_by_id(session: Session, item_ids: Sequence[int]) -> dict[int, Item]:
    """Return items by their id, however many."""
    found: dict[int, Item] = {}
    for first in range(0, len(item_ids), _CHUNK):
        chunk = item_ids[first : first + _CHUNK]
        found |= {i.id: i for i in session.exec(select(Item).where(col(Item.id).in_(chunk)))}
    return found


@dataclass(frozen=True)
class Explained:
    """A recommendation to explain, and the orders that were made for it since."""

    recommendation: Recommendation
    item: Item
    public_id: str | None
    covered_by: list[dict[str, Any]]
    as_of: datetime
    warnings: list[str]


def explain(
    session: Session,
    rec_id: str | None,
    sku: str | None,
    *,
    clock: Clock,
    company: Company,
    location: str | None = None,
) -> Explained:
    """Find the recommendation behind a question: by its number, or the item's last one.

    For an item the purchase that today's run advised is explained even when it has been drafted
    since; without a stored one, advice is computed as if unsent orders were not there. Without a
    location the place with the most value at risk comes first; the others are named.

    Raises:
        InvalidInput: Neither or both are given, or the number is malformed.
        NotFound: There is no such recommendation, item or location.
    """
    if (rec_id is None) == (sku is None):
        raise InvalidInput("give either rec_id or sku", next_step="Name one item, or R-<number>.")
    if rec_id is not None:
        stored = _stored(session, rec_id)
        item = items_by_id(session, [stored.item_id])[stored.item_id]
        return _explained(session, stored, item, clock=clock, company=company)
    item = resolve_item(session, sku or "")
    place = None if location is None else resolve_location(session, location)
    found = _purchases(session, item, place, clock=clock, company=company)
    if not found:
        found = [_without_need(session, item, place, clock=clock, company=company)]
    answer = _explained(session, found[0], item, clock=clock, company=company)
    others = [f"{row.order_units:,} at {row.inputs['location']}" for row in found[1:]]
    also = [f"also to order: {', '.join(others)}"] if others else []
    return replace(answer, warnings=answer.warnings + also)


def _purchases(
    session: Session, item: Item, place: Location | None, *, clock: Clock, company: Company
) -> list[Recommendation]:
    """What to buy of an item, largest value at risk first: as advised today, else as of now."""
    today, run = today_of(clock, company), latest_run(session)
    where = None if place is None else place.id
    rows: list[Recommendation] = []
    if run is not None and day_in_company(run.as_of_at, company) == today:
        rows = latest_recommendations(session, run, location_id=where, item_ids=[item.id])
    here = PairsHere(session)
    rows = [row for row in rows if (row.item_id, row.location_id) in here]
    rows = [row for row in rows if row.action == Action.BUY and _is_still_open(session, row, today)]
    advices = fresh_advice(
        session, clock=clock, company=company, item_ids=[item.id], location_id=where,
        without_unsent=True,
    )  # fmt: skip
    seen = {row.location_id for row in rows}
    rows += [
        as_recommendation(advice)
        for advice in advices
        if advice.action == Action.BUY and advice.case.location_id not in seen
    ]
    return sorted(rows, key=lambda row: (-row.value_at_risk_minor, row.location_id))


def _without_need(
    session: Session, item: Item, place: Location | None, *, clock: Clock, company: Company
) -> Recommendation:
    """Advice for an item that nobody needs to buy, at the location asked for or the usual one."""
    where = place or resolve_location(session, None)
    advice = advise_pair(
        session, item.id, where.id, clock=clock, company=company, without_unsent=True
    )
    return as_recommendation(advice)


def _is_still_open(session: Session, row: Recommendation, today: date) -> bool:
    """The position is as it was then, apart from orders made since."""
    now = positions_by_pair(session, row.location_id, item_ids=[row.item_id], as_of=today)
    position = now.get((row.item_id, row.location_id))
    if position is None:
        return False
    before = set(row.inputs.get("orders", [])) | set(row.inputs.get("drafts", []))
    kept = replace(
        position,
        receipts=tuple(r for r in position.receipts if r.number in before),
        drafts=tuple(r for r in position.drafts if r.number in before),
    )
    return position_key(kept) == row.inputs.get("position_key")


def _stored(session: Session, rec_id: str) -> Recommendation:
    digits = rec_id.strip().upper().removeprefix("R-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        raise InvalidInput(f"a recommendation is named R-<number>, got {rec_id!r}")
    found = session.get(Recommendation, int(digits))
    if found is None or (found.item_id, found.location_id) not in PairsHere(session):
        raise NotFound(
            f"there is no recommendation {rec_id!r}", next_step="Ask what needs ordering."
        )
    return found


def _explained(
    session: Session, row: Recommendation, item: Item, *, clock: Clock, company: Company
) -> Explained:
    today = today_of(clock, company)
    now = positions_by_pair(session, row.location_id, item_ids=[item.id], as_of=today)
    position = now.get((row.item_id, row.location_id), StockPosition(row.item_id, row.location_id))
    counted = set(row.inputs["orders"]) | set(row.inputs["drafts"])
    since = [r for r in (*position.receipts, *position.drafts) if r.number not in counted]
    covered = [{"po": r.number, "quantity": r.units, "state": r.state} for r in since]
    names = ", ".join(f"{r.number} ({r.units:,}, {r.state})" for r in since)
    run = None if row.run_id is None else session.get(PlanningRun, row.run_id)
    return Explained(
        recommendation=row,
        item=item,
        public_id=None if row.id is None else f"R-{row.id}",
        covered_by=covered,
        as_of=clock.now() if run is None else run.as_of_at,
        warnings=([f"not counted here: {names}"] if since else [])
        + row.inputs.get("set_aside", []),
    )
