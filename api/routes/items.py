"""Items: the list, one item's position, policy and advice, its forecast."""

import base64
import binascii
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from sqlmodel import col, select

from api.dependencies import ActorDep, Answer, SystemDep, ask
from api.routes.examples import ENVELOPE_EXAMPLE, answers
from db.models.catalog import Item
from tools.errors import InvalidInput, NotEnoughData, NotFound
from tools.reach.service import items_here, look_as

router = APIRouter(tags=["planning"])


class ItemShown(BaseModel):
    """One stock keeping unit."""

    sku: str
    name: str
    uom: str
    category: str
    status: str
    abc: str
    xyz: str


class Items(BaseModel):
    """A page of items; ``next_cursor`` is null on the last one."""

    items: list[ItemShown]
    next_cursor: str | None


class ItemDetail(BaseModel):
    """Where an item stands, the rule it is kept by, and what to do about it now."""

    position: dict[str, Any]
    policy: dict[str, Any] | None
    recommendation: dict[str, Any] | None
    as_of: str | None
    warnings: list[str]


_POSITION = {"sku": "WIDGET-A", "name": "Widget A", "uom": "each", "inventory_position": 840}


@router.get(
    "/items",
    responses=answers(
        {
            "items": [
                {
                    "sku": "WIDGET-A", "name": "Widget A", "uom": "each", "category": "widgets",
                    "status": "active", "abc": "A", "xyz": "X",
                }
            ],
            "next_cursor": None,
        }
    ),
)  # fmt: skip
def list_items(
    system: SystemDep,
    actor: ActorDep,
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> Items:
    """List the items by SKU, a page at a time."""
    statement = select(Item).order_by(col(Item.sku_key)).limit(limit + 1)
    if cursor is not None:
        statement = statement.where(Item.sku_key > decode_cursor(cursor))
    with system.database.read() as session:
        look_as(session, actor)
        rows = session.exec(statement.where(*items_here(session))).all()
        page = [ItemShown.model_validate(row, from_attributes=True) for row in rows[:limit]]
        following = encode_cursor(rows[limit - 1].sku_key) if len(rows) > limit else None
    if following is not None:
        url = request.url.include_query_params(cursor=following, limit=limit)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return Items(items=page, next_cursor=following)


@router.get(
    "/items/{sku:path}/forecast",
    responses=answers(
        {
            "data": {"sku": "WIDGET-A", "horizon_days": 28, "cumulative_mean": 2800},
            **ENVELOPE_EXAMPLE,
        },
        codes=("not_found",),
    ),
)
def get_forecast(
    system: SystemDep,
    actor: ActorDep,
    sku: str,
    horizon_days: Annotated[int | None, Query(ge=1, le=91)] = None,
    level: Annotated[float | None, Query(ge=0.5, le=0.95)] = None,
    location: Annotated[str | None, Query(max_length=32)] = None,
) -> Answer:
    """Forecast an item's demand, as the chat does."""
    asked = {"horizon_days": horizon_days, "level": level, "location": location}
    return Answer(**ask(system, actor, "forecast_demand", sku=sku, **asked))


@router.get(
    "/items/{sku:path}",
    responses=answers(
        {
            "position": _POSITION,
            "policy": {"sku": "WIDGET-A", "reorder_point": 1244, "order_up_to": 2644},
            "recommendation": {"rec_id": "R-12", "action": "buy", "quantity": 1920},
            "as_of": "2026-03-02T09:00:00+00:00",
            "warnings": [],
        },
        codes=("not_found",),
    ),
)
def get_item(
    system: SystemDep,
    actor: ActorDep,
    sku: str,
    location: Annotated[str | None, Query(max_length=32)] = None,
) -> ItemDetail:
    """Show where an item stands, its reorder policy and the newest recommendation."""
    position = ask(system, actor, "get_stock_position", sku=sku, location=location)
    found = position["data"]["sku"]
    warnings = list(position["warnings"])
    policy, recommendation = None, None
    try:
        policy = ask(system, actor, "compute_reorder_point", sku=found, location=location)["data"]
        lines = ask(system, actor, "recommend_orders", sku=found, limit=1)["data"]["lines"]
        recommendation = lines[0] if lines else None
    except (NotEnoughData, NotFound) as error:  # the position is worth showing all the same
        warnings.append(error.message)
    return ItemDetail(
        position=position["data"],
        policy=policy,
        recommendation=recommendation,
        as_of=position["as_of"],
        warnings=warnings,
    )


def encode_cursor(sku_key: str) -> str:
    """Return an opaque mark of the last item of a page."""
    return base64.urlsafe_b64encode(json.dumps([sku_key]).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """Return the SKU key in a cursor.

    Raises:
        InvalidInput: We did not make this cursor.
    """
    try:
        decoded = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        decoded = None
    if not (isinstance(decoded, list) and len(decoded) == 1 and isinstance(decoded[0], str)):
        raise InvalidInput("this cursor is not one of ours", next_step="Start without a cursor.")
    return decoded[0]
