"""What is promised of each line: read, spread over the open balance, written."""

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, delete
from sqlmodel import Session, col, select

from db.models.purchasing import LinePromise, PurchaseOrder, PurchaseOrderLine
from tools.purchasing.core.answers import LineNow, Promise, spread
from tools.purchasing.service.rows import lines_of

_PROMISES = (
    select(LinePromise)
    .where(col(LinePromise.order_line_id).in_(bindparam("line_ids", expanding=True)))
    .order_by(col(LinePromise.promise_on))
    .execution_options(populate_existing=True)
)


def stored_promises(session: Session, line_ids: Iterable[int]) -> dict[int, list[Promise]]:
    """Return the parts of lines that have more than one day, by line id."""
    rows = session.exec(_PROMISES, params={"line_ids": list(line_ids)})
    found: dict[int, list[Promise]] = {}
    for row in rows:
        found.setdefault(row.order_line_id, []).append(Promise(row.units, row.promise_on))
    return found


def lines_now(session: Session, order: PurchaseOrder) -> dict[str, LineNow]:
    """Return the lines of an order by SKU, each with the promises of its open balance."""
    pairs = lines_of(session, order.id)
    parts = stored_promises(session, [line.id for line, _ in pairs])
    return {item.sku: _now(order, line, item.sku, parts.get(line.id)) for line, item in pairs}


def put_promises(session: Session, line: PurchaseOrderLine, promises: Sequence[Promise]) -> None:
    """Replace what is promised of a line; its own day is that of the first part."""
    session.execute(delete(LinePromise).where(col(LinePromise.order_line_id) == line.id))
    dated = [(part.units, part.promise_on) for part in promises if part.promise_on is not None]
    if len(promises) > 1:
        session.add_all(
            LinePromise(order_line_id=line.id, units=units, promise_on=day) for units, day in dated
        )
    line.promise_on = min((day for _, day in dated), default=None)
    session.flush()


def _now(
    order: PurchaseOrder, line: PurchaseOrderLine, sku: str, parts: Sequence[Promise] | None
) -> LineNow:
    bare = LineNow(
        sku, line.ordered_units, line.received_units, line.short_closed_units, line.unit_price_minor
    )
    known = parts or [Promise(bare.open_units, line.promise_on or order.promise_on)]
    return LineNow(
        **{**vars(bare), "promises": tuple(spread(known, bare.open_units))},
    )
