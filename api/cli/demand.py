"""`quartermaster demand`: what was asked for, and what people know about it."""

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, data_of, terminal
from db.types import CorrectionKind, EventKind, ForecastBasis
from tools.errors import InvalidInput

if TYPE_CHECKING:
    from sqlmodel import Session

    from tools.planning_inputs.service.listing import Row

app = typer.Typer(
    help="Demand as the forecast sees it, and what people know about it.", no_args_is_help=True
)
correct = typer.Typer(help="Days that count otherwise than sold.", no_args_is_help=True)
events = typer.Typer(help="Promotions, holidays and closures.", no_args_is_help=True)
override = typer.Typer(help="A planner's figure in place of a forecast.", no_args_is_help=True)
app.add_typer(correct, name="correct")
app.add_typer(events, name="events")
app.add_typer(override, name="override")

SkuArgument = Annotated[str, typer.Argument(help="SKU, or another name of the item.")]
LocationOption = Annotated[
    str | None, typer.Option(metavar="CODE", help="Which warehouse; default: the usual one.")
]
ReasonOption = Annotated[str, typer.Option(help="Why.")]
AllOption = Annotated[bool, typer.Option("--all", help="Those that were taken back too.")]
OfOption = Annotated[str | None, typer.Option("--sku", metavar="SKU", help="Only of this item.")]
FirstArgument = Annotated[str, typer.Argument(metavar="FIRST", help="First day: 2026-05-03.")]
LastArgument = Annotated[str, typer.Argument(metavar="LAST", help="Last day.")]


@app.command()
def show(
    sku: SkuArgument,
    location: LocationOption = None,
    grain: Annotated[str, typer.Option(help="day, week or month.")] = "week",
    start: Annotated[str | None, typer.Option(metavar="DATE", help="First day.")] = None,
    end: Annotated[str | None, typer.Option(metavar="DATE", help="Last day.")] = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Show what was sold of an item, what counts as demand, and why the two differ."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        asked = {"sku": sku, "location": location, "grain": grain, "start": start, "end": end}
        given = {name: value for name, value in asked.items() if value is not None}
        envelope = shell.ask("get_demand_history", shell.actor(), **given)
        data = data_of(envelope)
        if is_json:
            shell.emit(envelope)
            return
        _show(data)
        for note in [*envelope["warnings"], data["past_overrides"]]:
            if note:
                shell.note(f"Note: {note}", "dim")


def _show(data: dict[str, Any]) -> None:
    typer.echo(f"{data['sku']}  {data['name']}  at {data['location']}, up to {data['until']}")
    pattern = "" if data["adi"] is None else f" (ADI {data['adi']}, CV2 {data['cv2'] or 0})"
    typer.echo(
        f"{data['sold_per_day']} a day sold, {data['demand_per_day']} a day count; "
        f"{data['class'].replace('_', ' ')}{pattern}; {data['coverage_days']:,} days, out of stock "
        f"on {data['out_of_stock_share']:.0%}"
    )
    for row in data["series"]:
        why = "; ".join(text for text in (row["outlier"], row["event"]) if text)
        stock = "" if row["in_stock"] else "  out of stock"
        typer.echo(
            f"{row['date']}  sold {row['qty']:>7,}  counts {row['demand']:>9,.1f}{stock}"
            f"{'  ' + why if why else ''}"
        )


@app.command()
def analog(
    sku: SkuArgument,
    like: Annotated[
        str | None, typer.Option(metavar="SKU", help="Which item; default: its category.")
    ] = None,
    factor: Annotated[float, typer.Option(help="Times so much: 0.6 is 60 %.")] = 1.0,
    location: LocationOption = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Show what an item without history may sell; `override add --basis` records it."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.catalog.service import resolve_item, resolve_location
        from tools.planning_inputs.service.history import basis_for

        with shell.reading(shell.actor()) as session:
            item, place = resolve_item(session, sku), resolve_location(session, location)
            other = None if like is None else resolve_item(session, like)
            found = basis_for(session, item, place, analog=other, factor=factor)
            data = {
                "sku": item.sku, "location": place.code, "basis": found.basis.value,
                "units_per_day": round(float(found.profile.mean.mean()), 2),
                "low": round(found.profile.low, 2), "high": round(found.profile.high, 2),
                "items": found.profile.n, "because": found.because,
            }  # fmt: skip
        if is_json:
            shell.emit({"ok": True, "data": data})
            return
        typer.echo(
            f"{data['sku']}: {data['units_per_day']} a day, {data['low']} to {data['high']}: "
            f"{data['because']}."
        )


@app.command()
def segments(as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Show how many items are in each segment, and the service level it is kept at."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.planning_inputs.core.classes import SERVICE_RATES
        from tools.planning_inputs.service.classes import segment_counts

        with shell.reading(shell.actor()) as session:
            counts = segment_counts(session)
        rows = [
            {"segment": name, "items": counts.get(name, 0), "service_rate": rate}
            for name, rate in SERVICE_RATES.items()
        ]
        if is_json:
            shell.emit({"ok": True, "data": {"segments": rows}})
            return
        for row in rows:
            typer.echo(f"{row['segment']}  {row['items']:>7,} items  {row['service_rate']:.0%}")


@app.command()
def holidays(
    location: LocationOption = None,
    country: Annotated[
        str | None, typer.Option(help="Where it lies from now on: GB-ENG, DE; empty for none.")
    ] = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Show the public holidays that a place keeps, or say in which country it lies."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.catalog.service import resolve_location
        from tools.planning_inputs.service import places, reading

        actor, system = shell.actor(), shell.system
        today = reading.today_in(system.clock, system.company)
        if country is not None:
            with system.database.write() as session:
                places.set_country(session, location, country, actor=actor, clock=system.clock)
        with shell.reading(actor) as session:
            place = resolve_location(session, location)
            code, lies_in = place.code, place.country
            found = places.holidays_ahead(place, today=today)
        if is_json:
            days = [{"date": on, "name": name} for on, name in found.items()]
            data = {"location": code, "country": lies_in, "holidays": days}
            shell.emit({"ok": True, "data": data})
            return
        typer.echo(f"{code} lies in {lies_in or 'no country that is known'}.")
        for on, name in found.items():
            typer.echo(f"{on.isoformat()}  {name}")


@correct.command(name="add")
def correct_add(
    sku: SkuArgument,
    on: Annotated[str, typer.Argument(metavar="DATE", help="Which day.")],
    kind: Annotated[CorrectionKind, typer.Argument(help="Why it counts otherwise.")],
    reason: ReasonOption,
    units: Annotated[
        int | None, typer.Option(help="What counts; as the days around it if not given.")
    ] = None,
    location: LocationOption = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Let a day count otherwise than it was sold; what was sold stays as it is."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.planning_inputs.core.changes import NewCorrection
        from tools.planning_inputs.service import recording

        new = NewCorrection(sku, _day(on), kind, units, location=location, reason=reason)
        actor, system = shell.actor(), shell.system
        with system.database.write() as session:
            row = recording.add_correction(
                session, new, actor=actor, clock=system.clock, company=system.company
            )
            _tell(shell, session, row)


@correct.command(name="list")
def correct_list(
    sku: OfOption = None, is_all: AllOption = False, as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:  # fmt: skip
    """List corrections, newest first."""
    _list("corrections", sku, is_all=is_all, as_login=as_login, is_json=is_json)


@correct.command()
def undo(
    number: Annotated[str, typer.Argument(help="Such as c-3.")],
    reason: ReasonOption,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Undo a correction: the day counts as it was sold again."""
    _take_back("DemandCorrection", number, reason, as_login=as_login, is_json=is_json)


@events.command(name="add")
def events_add(
    kind: Annotated[EventKind, typer.Argument(help="What it is.")],
    name: Annotated[str, typer.Argument(help="Such as: spring fair.")],
    first: FirstArgument,
    last: LastArgument,
    reason: ReasonOption,
    sku: Annotated[str | None, typer.Option(help="Of which item; all if not given.")] = None,
    category: Annotated[str, typer.Option(help="Of which category.")] = "",
    location: Annotated[str | None, typer.Option(help="Where; everywhere if not given.")] = None,
    supplier: Annotated[str | None, typer.Option(help="Which supplier is closed.")] = None,
    uplift: Annotated[
        float | None, typer.Option(help="1.4 is +40 %; learned from past ones if not given.")
    ] = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Record a promotion, a holiday or a closure."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.planning_inputs.core.changes import NewEvent
        from tools.planning_inputs.service import recording

        new = NewEvent(
            kind, name, _day(first), _day(last), sku=sku, category=category, location=location,
            supplier=supplier, uplift=uplift, reason=reason,
        )  # fmt: skip
        actor, system = shell.actor(), shell.system
        with system.database.write() as session:
            row = recording.add_event(
                session, new, actor=actor, clock=system.clock, company=system.company
            )
            _tell(shell, session, row)


@events.command(name="list")
def events_list(
    is_all: AllOption = False, as_login: AsOption = None, is_json: JsonOption = False
) -> None:
    """List events, newest first."""
    _list("events", None, is_all=is_all, as_login=as_login, is_json=is_json)


@events.command(name="withdraw")
def events_withdraw(
    number: Annotated[str, typer.Argument(help="Such as e-12.")],
    reason: ReasonOption,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Withdraw an event."""
    _take_back("DemandEvent", number, reason, as_login=as_login, is_json=is_json)


@override.command(name="add")
def override_add(
    sku: SkuArgument,
    first: FirstArgument,
    last: LastArgument,
    reason: ReasonOption,
    units_per_day: Annotated[float | None, typer.Option(help="What is expected a day.")] = None,
    basis: Annotated[
        ForecastBasis, typer.Option(help="own with units a day; analog; category.")
    ] = ForecastBasis.OWN,
    like: Annotated[
        str | None, typer.Option("--analog", metavar="SKU", help="The item that it is like.")
    ] = None,
    factor: Annotated[float | None, typer.Option(help="Times so much: 0.6 is 60 %.")] = None,
    location: LocationOption = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Put a figure, or a share of a similar item, in place of the forecast until it expires."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.planning_inputs.core.changes import NewOverride
        from tools.planning_inputs.service import recording

        new = NewOverride(
            sku, _day(first), _day(last), basis, units_per_day=units_per_day, analog_sku=like,
            factor=factor, location=location, reason=reason,
        )  # fmt: skip
        actor, system = shell.actor(), shell.system
        with system.database.write() as session:
            row = recording.add_override(
                session, new, actor=actor, clock=system.clock, company=system.company
            )
            _tell(shell, session, row)


@override.command(name="list")
def override_list(
    sku: OfOption = None, is_all: AllOption = False, as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:  # fmt: skip
    """List overrides with their scores, newest first."""
    _list("overrides", sku, is_all=is_all, as_login=as_login, is_json=is_json)


@override.command(name="withdraw")
def override_withdraw(
    number: Annotated[str, typer.Argument(help="Such as o-5.")],
    reason: ReasonOption,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Withdraw an override: the forecast counts again."""
    _take_back("ForecastOverride", number, reason, as_login=as_login, is_json=is_json)


def _list(what: str, sku: str | None, *, is_all: bool, as_login: str | None, is_json: bool) -> None:
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.catalog.service import resolve_item
        from tools.planning_inputs.service import listing

        with shell.reading(shell.actor()) as session:
            item_id = None if sku is None else resolve_item(session, sku).id
            if what == "events":
                rows = listing.events(session, is_all=is_all)
            else:
                rows = getattr(listing, what)(session, item_id=item_id, is_all=is_all)
        if is_json:
            shell.emit({"ok": True, "data": {what: rows}})
            return
        for row in rows:
            typer.echo(line(row))
        if not rows:
            shell.note(f"No {what} are recorded.")


def _take_back(kind: str, number: str, reason: str, *, as_login: str | None, is_json: bool) -> None:
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from db.models import demand
        from tools.planning_inputs.service import recording

        actor, system = shell.actor(), shell.system
        with system.database.write() as session:
            row = recording.take_back(
                session, number, getattr(demand, kind), reason=reason, actor=actor,
                clock=system.clock,
            )  # fmt: skip
            _tell(shell, session, row)


def _tell(shell: Terminal, session: "Session", row: "Row") -> None:
    from tools.planning_inputs.service.listing import shown

    data = shown(session, row)
    if shell.is_json:
        shell.emit({"ok": True, "data": data})
    else:
        typer.echo(line(data))


def line(row: dict[str, Any]) -> str:
    """Write one correction, event or override on a line."""
    about = [row.get(name) for name in ("sku", "category", "supplier", "location")]
    what = " ".join(str(one) for one in about if one) or "everything"
    days = row.get("date") or f"{row['start']} to {row['end']}"
    ended = "" if row["is_active"] else f", taken back by {row['ended_by']}"
    return f"{row['id']:<6} {days}  {what}: {_counts(row)} ({row['by']}: {row['reason']}){ended}"


def _counts(row: dict[str, Any]) -> str:
    if "uplift" in row:
        lift = "" if row["uplift"] is None else f" x {row['uplift']:g}"
        return f"{row['kind']} {row['name']}{lift}"
    if "basis" not in row:
        units = "the days around it" if row["units"] is None else f"{row['units']:,}"
        return f"counts as {units}, {row['kind'].replace('_', ' ')}"
    if row["basis"] == ForecastBasis.OWN.value:
        told = f"{row['units_per_day']:g} a day"
    else:
        told = f"{row['factor']:.0%} of {row['analog'] or 'its category'}"
    score = row["score"]
    return told + (f", {score['verdict']} than the forecast" if score else "")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"a date is written like 2026-03-06, got {text!r}") from None
