"""``quartermaster explain``: why a forecast and an order are what they are, in words and SVG."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, terminal
from tools.errors import InvalidInput, NotEnoughData

if TYPE_CHECKING:
    from sqlmodel import Session


class Picture(StrEnum):
    """What ``--svg`` draws."""

    CHART = "chart"
    FORECAST = "forecast"
    ORDER = "order"


SvgOption = Annotated[
    Path | None, typer.Option("--svg", metavar="FILE", help="Write a picture; - is the screen.")
]
PictureOption = Annotated[
    Picture,
    typer.Option(
        "--picture",
        help="chart: demand, forecast and stock; forecast: its components; order: its terms.",
    ),
]


def explain(
    sku: Annotated[str, typer.Argument(help="SKU, another name of the item, or part of its name.")],
    location: Annotated[
        str | None, typer.Option("--location", metavar="CODE", help="Default: the usual one.")
    ] = None,
    svg: SvgOption = None,
    picture: PictureOption = Picture.CHART,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Explain an item's forecast, its stock to come and the order advised for it."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        with shell.reading(shell.actor()) as session:
            drawn = None if svg is None else _drawn(shell, session, sku, location, picture)
            said = _said(shell, session, sku, location)
        if svg is not None and drawn is not None:
            _write(svg, drawn)
            if str(svg) == "-":
                return
        if shell.is_json:
            shell.emit({"ok": True, "data": said})
            return
        _show(shell, said, location)
        if svg is not None:
            shell.note(f"The picture is in {str(svg)!r}.")


def _known(shell: Terminal) -> dict[str, Any]:
    return {"clock": shell.system.clock, "company": shell.system.company}


def _drawn(
    shell: Terminal, session: "Session", sku: str, location: str | None, picture: Picture
) -> str:
    """Draw the picture that was asked for."""
    from tools.catalog.service import resolve_item, resolve_location
    from tools.explaining import service
    from tools.pictures.core.bars import sum_svg
    from tools.pictures.core.item import item_svg

    pair = resolve_item(session, sku), resolve_location(session, location)
    if picture is Picture.CHART:
        return item_svg(service.item_chart(session, *pair, **_known(shell)))
    if picture is Picture.FORECAST:
        return sum_svg(service.forecast_reasons(session, *pair, **_known(shell)).picture)
    return sum_svg(service.recommendation_sum(session, *pair, **_known(shell)))


def _said(shell: Terminal, session: "Session", sku: str, location: str | None) -> dict[str, Any]:
    """Give the explanation as data; what cannot be explained says why."""
    from tools.catalog.service import resolve_item, resolve_location
    from tools.explaining import service
    from tools.pictures.core.item import description

    item, place = resolve_item(session, sku), resolve_location(session, location)
    answer: dict[str, Any] = {"sku": item.sku, "name": item.name, "location": place.code}
    missing: list[str] = []
    try:
        chart = service.item_chart(session, item, place, **_known(shell))
        answer["description"] = description(chart)
    except NotEnoughData as error:
        answer["description"] = None
        missing.append(error.message)
    try:
        found = service.forecast_reasons(session, item, place, **_known(shell))
        answer["why"] = list(found.sentences)
        answer["components"] = found.parts.averages()
    except NotEnoughData as error:
        answer |= {"why": [], "components": None}
        missing += [error.message] if error.message not in missing else []
    order = service.recommendation_sum(session, item, place, **_known(shell))
    answer["order"] = [{"label": label, "value": value} for label, value in order.terms]
    return answer | {"quantity": order.total, "missing": missing}


def _show(shell: Terminal, said: dict[str, Any], location: str | None) -> None:
    from rich.text import Text

    from api import rendering
    from api.cli import screens

    asked = {} if location is None else {"location": location}
    order = shell.ask("explain_recommendation", shell.actor(), sku=said["sku"], **asked)
    rows: list[tuple[str, str | Text]] = [("stock", said["description"] or rendering.NOTHING)]
    rows += [("forecast" if k == 0 else "", line) for k, line in enumerate(said["why"])]
    shell.show(
        rendering.headline(said["sku"], said["name"], said["location"]),
        Text(),
        rendering.facts(rows),
        Text(),
        *screens.advice(order),
    )
    for text in said["missing"]:
        shell.note(f"Note: {text}", "dim")


def _write(path: Path, drawn: str) -> None:
    """Write the picture; - is standard output.

    Raises:
        InvalidInput: The file cannot be written.
    """
    if str(path) == "-":
        typer.echo(drawn, nl=False)
        return
    try:
        path.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"the picture cannot be written to {str(path)!r}: {error.strerror}",
            next_step="Name a file in a folder that exists and may be written to.",
        ) from None
