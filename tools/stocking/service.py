"""Reads and sets how an item is kept at a location; the plan computes the rest from it."""

from typing import Any

from sqlmodel import Session, select

from db.models.catalog import Item, Location
from db.models.planning import Policy
from db.types import Actor, Permission
from tools.audit import service as audit
from tools.catalog.service import resolve_item, resolve_location
from tools.clock import Clock
from tools.errors import InvalidInput, NotFound
from tools.identity.service import acting, require_scope
from tools.reach.service import PairsHere
from tools.stocking.core import StockingChange, check_change

LONGEST_REASON = 500


def stocking_of(session: Session, sku: str, location: str | None = None) -> dict[str, Any]:
    """Return how an item is kept, with the numbers that the last plan computed; ready for JSON.

    Raises:
        NotFound: There is no such item or location, or it is outside what may be seen.
    """
    item, place = resolve_item(session, sku), resolve_location(session, location)
    if (item.id, place.id) not in PairsHere(session):
        raise NotFound(f"there is no item {sku!r} at {place.code!r}")
    row = _policy(session, item, place)
    return stocking_view(row or Policy(item_id=item.id, location_id=place.id), item, place)


def set_stocking(
    session: Session,
    sku: str,
    location: str | None,
    change: StockingChange,
    *,
    reason: str,
    actor: Actor,
    clock: Clock,
) -> dict[str, Any]:
    """Set fields of an item's policy; the next advice follows it, a stored one no longer holds.

    Args:
        session: A write transaction.
        sku: The item.
        location: Code; None is the usual place.
        change: What to set.
        reason: Why; kept in the trail.
        actor: Who sets it: somebody who decides about orders.
        clock: Time.

    Raises:
        InvalidInput: A figure cannot be, or there is no reason.
        Forbidden: Role or scope do not allow it.
    """
    audit.lock(session)
    who = acting(session, actor, Permission.DECIDE)
    item, place = resolve_item(session, sku), resolve_location(session, location)
    require_scope(session, who, location=place.code, categories=[item.category])
    if not 0 < len(reason.strip()) <= LONGEST_REASON:
        raise InvalidInput(
            f"a change of a policy needs a reason of at most {LONGEST_REASON} characters",
            next_step="Say why, for example: C item.",
        )
    row = _policy(session, item, place) or Policy(item_id=item.id, location_id=place.id)
    given = change.given()
    check_change(
        change, rule=given.get("rule", row.rule),
        review_days=given.get("review_period_days", row.review_period_days),
    )  # fmt: skip
    if change.service_rate is not None:
        given["is_service_rate_optimised"] = False
    before = {name: getattr(row, name) for name in given}
    if before != given:
        _apply(session, row, given)
        audit.append(
            session, at=clock.now(), actor=who, action="stocking.set",
            object_id=f"{item.sku}@{place.code}", before=_plain(before), after=_plain(given),
            reason=reason.strip(),
        )  # fmt: skip
    return stocking_view(row, item, place)


def _policy(session: Session, item: Item, place: Location) -> Policy | None:
    return session.exec(
        select(Policy).where(Policy.item_id == item.id, Policy.location_id == place.id)
    ).first()


def _apply(session: Session, row: Policy, given: dict[str, Any]) -> None:
    row.version = (row.version or 1) + 1  # version 1 is what the program itself wrote
    for name, value in given.items():
        setattr(row, name, value)
    session.add(row)
    session.flush()


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Values as the trail takes them: words, whole numbers, and decimals as text."""
    plain = {name: getattr(value, "value", value) for name, value in values.items()}
    return {name: str(v) if isinstance(v, float) else v for name, v in plain.items()}


def stocking_view(row: Policy, item: Item, place: Location) -> dict[str, Any]:
    """What people set, and what the plan made of it."""
    return {
        "sku": item.sku,
        "name": item.name,
        "uom": item.uom,
        "location": place.code,
        "version": row.version,
        "rule": row.rule.value,
        "service_rate": row.service_rate,
        "is_service_rate_optimised": row.is_service_rate_optimised,
        "measure": row.measure.value,
        "method": row.method.value,
        "review_period_days": row.review_period_days,
        "cover_days": row.cover_days,
        "reorder_point": row.reorder_point_units,
        "safety_stock": row.safety_stock_units,
        "order_up_to": row.order_up_to_units,
        "computed_at": None if row.computed_at is None else row.computed_at.isoformat(),
    }
