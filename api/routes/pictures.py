"""An item explained: pictures as SVG, and the figures behind them as data."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel
from sqlmodel import Session

from api.bootstrap import System
from api.dependencies import ActorDep, SystemDep
from api.routes.examples import Responses, answers
from db.models.catalog import Item, Location
from db.types import Actor, Permission
from tools.catalog.service import resolve_item, resolve_location
from tools.errors import NotEnoughData
from tools.explaining.service import (
    HORIZON_DAYS,
    ForecastReasons,
    forecast_reasons,
    item_chart,
    recommendation_sum,
)
from tools.identity.core import require
from tools.pictures.core.bars import Sum, sum_description, sum_svg
from tools.pictures.core.item import description, item_svg, table
from tools.pictures.core.svg import STYLE_SOURCE
from tools.reach.service import look_as

router = APIRouter(tags=["planning"])

MEDIA_TYPE = "image/svg+xml"
# The sheet inside the picture, by its digest, and nothing else: no script, no address.
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src {STYLE_SOURCE}; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}
_EXAMPLE = "<svg xmlns='http://www.w3.org/2000/svg'><title>WIDGET-A Widget A at MAIN</title></svg>"

LocationQuery = Annotated[str | None, Query(max_length=32)]
DaysQuery = Annotated[int, Query(ge=14, le=91, description="Days to come; whole weeks are shown.")]


class Term(BaseModel):
    """One term of a sum."""

    label: str
    value: float


class Terms(BaseModel):
    """Terms that add up to a total."""

    title: str
    uom: str
    terms: list[Term]
    total: float
    description: str


class FiguresShown(BaseModel):
    """The figures of a picture as a table."""

    caption: str
    columns: list[str]
    rows: list[list[str | float | int | None]]


class Explanation(BaseModel):
    """Why an item's figures are what they are; ``missing`` says what could not be explained."""

    sku: str
    location: str
    description: str
    chart: FiguresShown
    forecast: Terms | None
    why: list[str]
    order: Terms | None
    missing: list[str]


def _picture() -> Responses:
    described = answers({}, codes=("not_found",))
    described[200] = {"content": {MEDIA_TYPE: {"example": _EXAMPLE}}, "description": "A picture"}
    return described


@router.get("/items/{sku:path}/chart.svg", responses=_picture(), response_class=Response)
def draw_item(
    system: SystemDep,
    actor: ActorDep,
    sku: str,
    location: LocationQuery = None,
    horizon_days: DaysQuery = HORIZON_DAYS,
) -> Response:
    """Draw what was sold, the forecast with its ranges, and stock if nothing is ordered."""

    def draw(session: Session, item: Item, place: Location) -> str:
        return item_svg(
            item_chart(
                session, item, place, clock=system.clock, company=system.company,
                horizon_days=horizon_days,
            )
        )  # fmt: skip

    return _drawn(system, actor, sku, location, draw)


@router.get("/items/{sku:path}/forecast.svg", responses=_picture(), response_class=Response)
def draw_forecast(
    system: SystemDep, actor: ActorDep, sku: str, location: LocationQuery = None
) -> Response:
    """Draw the components that a forecast's daily mean adds up from."""

    def draw(session: Session, item: Item, place: Location) -> str:
        found = forecast_reasons(session, item, place, clock=system.clock, company=system.company)
        return sum_svg(found.picture)

    return _drawn(system, actor, sku, location, draw)


@router.get("/items/{sku:path}/order.svg", responses=_picture(), response_class=Response)
def draw_order(
    system: SystemDep, actor: ActorDep, sku: str, location: LocationQuery = None
) -> Response:
    """Draw the terms that the recommended order quantity adds up from."""

    def draw(session: Session, item: Item, place: Location) -> str:
        found = recommendation_sum(session, item, place, clock=system.clock, company=system.company)
        return sum_svg(found)

    return _drawn(system, actor, sku, location, draw)


def _drawn(
    system: System,
    actor: Actor,
    sku: str,
    location: str | None,
    draw: Callable[[Session, Item, Location], str],
) -> Response:
    """Answer with a picture of what the actor may see."""
    require(actor, Permission.READ)
    with system.database.read() as session:
        look_as(session, actor)
        picture = draw(session, resolve_item(session, sku), resolve_location(session, location))
    return Response(picture, media_type=MEDIA_TYPE, headers=HEADERS)


_SUM_EXAMPLE: dict[str, Any] = {
    "title": "WIDGET-A at MAIN: order", "uom": "each",
    "terms": [{"label": "forecast over 9 days", "value": 900}], "total": 900,
    "description": "forecast over 9 days +900; order quantity 900 each.",
}  # fmt: skip


@router.get(
    "/items/{sku:path}/explanation",
    responses=answers(
        {
            "sku": "WIDGET-A", "location": "MAIN",
            "description": "The reorder point is 1,244.",
            "chart": {"caption": "WIDGET-A Widget A at MAIN, each", "columns": ["what", "date"],
                      "rows": [["sold in the week from", "2026-02-23"]]},
            "forecast": None, "order": _SUM_EXAMPLE,
            "why": ["100 a day over 28 days: level 90, shift +10."], "missing": [],
        },
        codes=("not_found",),
    ),
)  # fmt: skip
def explain_item(
    system: SystemDep,
    actor: ActorDep,
    sku: str,
    location: LocationQuery = None,
    horizon_days: DaysQuery = HORIZON_DAYS,
) -> Explanation:
    """Explain an item's forecast and order in words and figures, as the pictures show them."""
    require(actor, Permission.READ)
    clock, company = system.clock, system.company
    missing: list[str] = []
    with system.database.read() as session:
        look_as(session, actor)
        item, place = resolve_item(session, sku), resolve_location(session, location)
        chart = item_chart(
            session, item, place, clock=clock, company=company, horizon_days=horizon_days
        )
        order = recommendation_sum(session, item, place, clock=clock, company=company)
        names = {"sku": item.sku, "location": place.code}
        forecast: ForecastReasons | None = None
        try:
            forecast = forecast_reasons(session, item, place, clock=clock, company=company)
        except NotEnoughData as error:
            missing.append(error.message)
    shown = table(chart)
    return Explanation(
        **names, description=description(chart),
        chart=FiguresShown(
            caption=shown.caption, columns=list(shown.columns), rows=[list(r) for r in shown.rows]
        ),
        forecast=None if forecast is None else _terms(forecast.picture),
        why=[] if forecast is None else list(forecast.sentences),
        order=_terms(order), missing=missing,
    )  # fmt: skip


def _terms(found: Sum) -> Terms:
    return Terms(
        title=found.title, uom=found.uom, total=found.total,
        terms=[Term(label=label, value=value) for label, value in found.terms],
        description=sum_description(found),
    )  # fmt: skip
