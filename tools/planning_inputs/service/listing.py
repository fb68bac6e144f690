"""What people said about demand, as every door shows it: JSON values, newest first."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, col, select

from db.models.catalog import Item, Location, Supplier
from db.models.demand import DemandCorrection, DemandEvent, ForecastOverride
from db.models.identity import User
from db.once import loaded
from tools.planning_inputs.service.recording import number_of
from tools.reach.service import PairsHere, scope_here

MOST = 500
Row = DemandCorrection | DemandEvent | ForecastOverride


def corrections(
    session: Session, *, item_id: int | None = None, is_all: bool = False
) -> list[dict[str, Any]]:
    """List corrections.

    Args:
        session: Open session; shows what its person may see.
        item_id: Only of this item.
        is_all: Undone ones too.
    """
    asked = select(DemandCorrection).order_by(col(DemandCorrection.id).desc()).limit(MOST)
    if item_id is not None:
        asked = asked.where(DemandCorrection.item_id == item_id)
    if not is_all:
        asked = asked.where(col(DemandCorrection.undone_at).is_(None))
    here = PairsHere(session)
    rows = [row for row in session.exec(asked) if (row.item_id, row.location_id) in here]
    names = _Names(session, rows)
    return [correction_json(row, names) for row in rows]


def events(session: Session, *, is_all: bool = False) -> list[dict[str, Any]]:
    """List events; ``is_all`` withdrawn ones too."""
    asked = select(DemandEvent).order_by(col(DemandEvent.id).desc()).limit(MOST)
    if not is_all:
        asked = asked.where(col(DemandEvent.withdrawn_at).is_(None))
    rows = list(session.exec(asked))
    names = _Names(session, rows)
    return [event_json(row, names) for row in rows if _is_seen(session, row, names)]


def overrides(
    session: Session, *, item_id: int | None = None, is_all: bool = False
) -> list[dict[str, Any]]:
    """List overrides; as for ``corrections``."""
    asked = select(ForecastOverride).order_by(col(ForecastOverride.id).desc()).limit(MOST)
    if item_id is not None:
        asked = asked.where(ForecastOverride.item_id == item_id)
    if not is_all:
        asked = asked.where(col(ForecastOverride.withdrawn_at).is_(None))
    here = PairsHere(session)
    rows = [row for row in session.exec(asked) if (row.item_id, row.location_id) in here]
    names = _Names(session, rows)
    return [override_json(row, names) for row in rows]


def shown(session: Session, row: Row) -> dict[str, Any]:
    """Return one row as it is listed."""
    names = _Names(session, [row])
    if isinstance(row, DemandCorrection):
        return correction_json(row, names)
    return event_json(row, names) if isinstance(row, DemandEvent) else override_json(row, names)


class _Names:
    """Codes of the items, places, suppliers and people of some rows: one query for each kind."""

    def __init__(self, session: Session, rows: Sequence[Row]) -> None:
        def ids(*names: str) -> set[int]:
            found = (getattr(row, name, None) for row in rows for name in names)
            return {one for one in found if one is not None}

        self.items = loaded(session, Item, ids("item_id", "analog_item_id"))
        self.places = loaded(session, Location, ids("location_id"))
        self.sellers = loaded(session, Supplier, ids("supplier_id"))
        people = ids("created_by_id", "undone_by_id", "withdrawn_by_id")
        self.people = loaded(session, User, people)

    def item(self, row_id: int | None) -> str | None:
        return None if row_id is None else self.items[row_id].sku

    def place(self, row_id: int | None) -> str | None:
        return None if row_id is None else self.places[row_id].code

    def seller(self, row_id: int | None) -> str | None:
        return None if row_id is None else self.sellers[row_id].code

    def person(self, row_id: int | None) -> str | None:
        return None if row_id is None else self.people[row_id].login


def correction_json(row: DemandCorrection, names: _Names) -> dict[str, Any]:
    """Return a correction as JSON values."""
    return {
        "id": number_of(row),
        "sku": names.item(row.item_id),
        "location": names.place(row.location_id),
        "date": row.on.isoformat(),
        "kind": row.kind.value,
        "units": row.units,
        **_who(row.created_by_id, row.undone_by_id, row, names, ended=row.undone_at is not None),
    }


def event_json(row: DemandEvent, names: _Names) -> dict[str, Any]:
    """Return an event as JSON values."""
    return {
        "id": number_of(row),
        "kind": row.kind.value,
        "name": row.name,
        "start": row.start_on.isoformat(),
        "end": row.end_on.isoformat(),
        "sku": names.item(row.item_id),
        "category": row.category or None,
        "location": names.place(row.location_id),
        "supplier": names.seller(row.supplier_id),
        "uplift": row.uplift,
        **_who(row.created_by_id, row.withdrawn_by_id, row, names,
               ended=row.withdrawn_at is not None),
    }  # fmt: skip


def override_json(row: ForecastOverride, names: _Names) -> dict[str, Any]:
    """Return an override as JSON values."""
    return {
        "id": number_of(row),
        "sku": names.item(row.item_id),
        "location": names.place(row.location_id),
        "start": row.start_on.isoformat(),
        "end": row.end_on.isoformat(),
        "basis": row.basis.value,
        "units_per_day": row.units_per_day,
        "analog": names.item(row.analog_item_id),
        "factor": row.analog_factor,
        "system_units_per_day": row.system_units_per_day,
        "score": dict(row.score) or None,
        **_who(row.created_by_id, row.withdrawn_by_id, row, names,
               ended=row.withdrawn_at is not None),
    }  # fmt: skip


def _who(
    by_id: int,
    ended_by_id: int | None,
    row: Row,
    names: _Names,
    *,
    ended: bool,
) -> Mapping[str, Any]:
    return {
        "reason": row.reason,
        "by": names.person(by_id),
        "at": row.created_at.isoformat(timespec="seconds"),
        "is_active": not ended,
        "ended_by": names.person(ended_by_id),
    }


def _is_seen(session: Session, row: DemandEvent, names: _Names) -> bool:
    """An event of all places or items is seen by all, one of others' by nobody else."""
    scope = scope_here(session)
    category = names.items[row.item_id].category if row.item_id else row.category
    seller = names.seller(row.supplier_id) or ""
    return not scope.outside(
        location=names.place(row.location_id) or "",
        supplier=seller,
        categories=[category] if category else [],
    )
