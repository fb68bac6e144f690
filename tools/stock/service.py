"""Stock as a ledger: every change of on-hand stock is a movement, and stock is their sum.

``position`` and ``positions`` live in ``tools.positions``, below planning.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, update
from sqlmodel import Session, col, select

from db.models.catalog import Item, Location
from db.models.stock import StockLevel, StockMovement
from db.types import Actor, MovementKind, Permission, Role
from tools.audit import service as audit
from tools.catalog.service import resolve_item, resolve_location
from tools.clock import Clock
from tools.errors import Conflict, Forbidden, InvalidInput
from tools.identity.service import acting, require_scope
from tools.positions.service import position, positions
from tools.text import plain_line, plain_text

__all__ = [
    "Adjustment", "LedgerDifference", "adjust", "ledger_differences", "move", "position",
    "positions", "reconcile", "stock_as_of",
]  # fmt: skip

_MOST_UNITS = 10_000_000
_LONGEST_REFERENCE = 80
_TOLD_DIFFERENCES = 50


@dataclass(frozen=True)
class LedgerDifference:
    """An item at a place whose stock is not the sum of its movements."""

    item_id: int
    location_id: int
    sku: str
    location: str
    on_hand_units: int
    moved_units: int

    @property
    def units(self) -> int:
        """What the movements lack."""
        return self.on_hand_units - self.moved_units


@dataclass(frozen=True)
class Adjustment:
    """Stock after a correction; ``is_repeat`` when the same one was booked before."""

    sku: str
    location: str
    units: int
    on_hand_units: int
    reference: str
    is_repeat: bool = False


def stock_as_of(session: Session, item_id: int, location_id: int) -> datetime | None:
    """Return when the stock of an item at a location was last written."""
    statement = select(StockLevel.updated_at).where(
        StockLevel.item_id == item_id, StockLevel.location_id == location_id
    )
    return session.exec(statement).first()


def move(
    session: Session,
    *,
    item_id: int,
    location_id: int,
    kind: MovementKind,
    units: int,
    reference: str,
    at: datetime,
    quarantined_units: int = 0,
) -> None:
    """Book one movement and the balance that follows from it.

    Args:
        session: The transaction.
        item_id: What moved.
        location_id: Where.
        kind: Why.
        units: Signed change of on-hand stock, not zero.
        reference: Unique name of the movement.
        at: When.
        quarantined_units: Signed change of the part that may not be used; it never falls below 0,
            a count may have released some.
    """
    quarantined = col(StockLevel.quarantined_units) + quarantined_units
    session.add(
        StockMovement(
            item_id=item_id, location_id=location_id, kind=kind, units=units, occurred_at=at,
            reference=reference,
        )
    )  # fmt: skip
    statement = (
        update(StockLevel)
        .where(col(StockLevel.item_id) == item_id, col(StockLevel.location_id) == location_id)
        .values(
            on_hand_units=StockLevel.on_hand_units + units,
            quarantined_units=case((quarantined < 0, 0), else_=quarantined),
            updated_at=at,
        )
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount == 0:  # type: ignore[attr-defined]
        session.add(
            StockLevel(
                item_id=item_id, location_id=location_id, on_hand_units=units,
                quarantined_units=quarantined_units, updated_at=at,
            )
        )  # fmt: skip
    session.flush()


def on_hand(session: Session, item_id: int, location_id: int) -> int:
    """Return what lies at a place, as the database has it now; units."""
    statement = select(StockLevel.on_hand_units).where(
        StockLevel.item_id == item_id, StockLevel.location_id == location_id
    )
    return session.exec(statement).first() or 0


def adjust(
    session: Session,
    *,
    sku: str,
    units: int,
    reason: str,
    reference: str,
    actor: Actor,
    clock: Clock,
    location: str | None = None,
) -> Adjustment:
    """Correct the stock of an item by a movement; the same ``reference`` again changes nothing.

    Args:
        session: The transaction.
        sku: SKU or name.
        units: Signed difference, not zero.
        reason: Why: a count, breakage, a find.
        reference: Name of the correction, unique for ever.
        actor: Who corrects.
        clock: Time.
        location: Code; the only one if there is one.

    Raises:
        Forbidden: The actor may only look, or works elsewhere.
        InvalidInput: No reason, no difference, or more would be taken than there is.
        Conflict: The reference names another correction.
    """
    audit.lock(session)
    item, place = resolve_item(session, sku), resolve_location(session, location)
    _check_may_adjust(session, actor, item, place)
    reason = plain_text(reason, longest=500)
    name = plain_line(reference, longest=_LONGEST_REFERENCE + 1)
    _check_adjustment(units, reason, name)
    before = on_hand(session, item.id, place.id)
    stored = f"adjust:{name}"
    booked = session.exec(select(StockMovement).where(StockMovement.reference == stored)).first()
    if booked is not None:
        if (booked.item_id, booked.location_id, booked.units) != (item.id, place.id, units):
            raise Conflict(
                f"{name!r} is the name of another correction",
                next_step="Give it another reference.",
            )
        return Adjustment(item.sku, place.code, units, before, name, is_repeat=True)
    if before + units < 0:
        raise InvalidInput(f"{item.sku!r}: {before:,} lie at {place.code!r}, {-units:,} cannot go")
    at = clock.now()
    move(
        session, item_id=item.id, location_id=place.id, kind=MovementKind.ADJUSTMENT, units=units,
        reference=stored, at=at,
    )  # fmt: skip
    after = {"on_hand": before + units, "units": units, "location": place.code, "reference": name}
    audit.append(
        session, at=at, actor=actor, action="stock.adjusted", object_id=item.sku,
        before={"on_hand": before}, after=after, reason=reason,
    )  # fmt: skip
    return Adjustment(item.sku, place.code, units, before + units, name)


def ledger_differences(session: Session) -> list[LedgerDifference]:
    """Return every item at a place whose stock is not the sum of its movements; none is right."""
    moved = {
        (item_id, place_id): int(units)
        for item_id, place_id, units in session.execute(
            select(
                col(StockMovement.item_id),
                col(StockMovement.location_id),
                func.sum(col(StockMovement.units)),
            ).group_by(col(StockMovement.item_id), col(StockMovement.location_id))
        )
    }
    held = {
        (item_id, place_id): units
        for item_id, place_id, units in session.execute(
            select(
                col(StockLevel.item_id), col(StockLevel.location_id), col(StockLevel.on_hand_units)
            )
        )
    }
    pairs = sorted(moved.keys() | held.keys())
    return [
        LedgerDifference(
            *pair, session.get_one(Item, pair[0]).sku, session.get_one(Location, pair[1]).code,
            held.get(pair, 0), moved.get(pair, 0),
        )
        for pair in pairs
        if held.get(pair, 0) != moved.get(pair, 0)
    ]  # fmt: skip


def reconcile(session: Session, *, actor: Actor, clock: Clock) -> list[LedgerDifference]:
    """Write the movements that the stock of an older database lacks; the stock stays as it is.

    An item without any movement gets its opening, another one an adjustment. A second time there
    is nothing to write.

    Raises:
        Forbidden: The actor is neither a manager nor an admin.
    """
    audit.lock(session)
    if acting(session, actor, Permission.READ).role not in (Role.MANAGER, Role.ADMIN):
        raise Forbidden("a manager or an admin writes what the stock ledger lacks")
    found = ledger_differences(session)
    at = clock.now()
    for one in found:
        kind = MovementKind.ADJUSTMENT if _has_moved(session, one) else MovementKind.OPENING
        session.add(
            StockMovement(
                item_id=one.item_id, location_id=one.location_id, kind=kind, units=one.units,
                occurred_at=at,
                reference=f"reconcile {at:%Y-%m-%dT%H:%M:%S} {one.item_id} {one.location_id}",
            )
        )  # fmt: skip
    if found:
        told = {f"{one.sku} {one.location}": one.units for one in found[:_TOLD_DIFFERENCES]}
        audit.append(
            session, at=at, actor=actor, action="stock.reconciled", object_id="stock",
            after={"count": len(found), "units": sum(one.units for one in found), "items": told},
        )  # fmt: skip
    return found


def _has_moved(session: Session, one: LedgerDifference) -> bool:
    statement = select(StockMovement.id).where(
        StockMovement.item_id == one.item_id, StockMovement.location_id == one.location_id
    )
    return session.exec(statement.limit(1)).first() is not None


def _check_may_adjust(session: Session, actor: Actor, item: Item, place: Location) -> None:
    acting(session, actor, Permission.DRAFT)
    require_scope(session, actor, location=place.code, categories=(item.category,))


def _check_adjustment(units: int, reason: str, reference: str) -> None:
    if not 1 <= abs(units) <= _MOST_UNITS:
        raise InvalidInput(f"a correction is 1 to {_MOST_UNITS:,} units up or down, got {units!r}")
    if not reason:
        raise InvalidInput("a correction of stock needs a reason", next_step="Say why.")
    if not 1 <= len(reference) <= _LONGEST_REFERENCE:
        raise InvalidInput(
            f"the reference of a correction has 1 to {_LONGEST_REFERENCE} characters, "
            f"got {reference!r}"
        )
