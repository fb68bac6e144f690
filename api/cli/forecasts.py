"""`quartermaster forecast`: runs of forecasts, the models behind them, and how good they were."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, terminal

if TYPE_CHECKING:
    from db.models.planning import ForecastModel, ForecastRun

app = typer.Typer(help="Forecast runs and the models behind them.", no_args_is_help=True)

ReasonOption = Annotated[str, typer.Option(help="Why; goes into the record.")]
SegmentArgument = Annotated[
    str, typer.Argument(help="smooth, erratic, intermittent, lumpy, or * for all.")
]


@app.command()
def run(
    engine: Annotated[
        str | None,
        typer.Option(help="local, processes or dask; default: QM_FORECAST_ENGINE."),
    ] = None,
    is_planned: Annotated[
        bool, typer.Option("--plan/--no-plan", help="Also plan from the new forecasts.")
    ] = True,
    is_json: JsonOption = False,
) -> None:
    """Forecast every series; goes on with a run that was interrupted."""
    with terminal(is_json=is_json, settings={"forecast_engine": engine}) as shell:
        from api.planning import replan
        from tools.forecasting.service.runs import run_forecasts

        system = shell.system
        with shell.progress("Forecasting") as progress:
            run_id = run_forecasts(
                system.database, clock=system.clock, company=system.company, progress=progress,
                engine=shell.settings.engine,
            )  # fmt: skip
        planned = replan(system)[0] if is_planned else 0
        if is_json:
            shell.emit({"ok": True, "data": {"run": run_id, "planned_items": planned}})
            return
        typer.echo(f"Forecast run {run_id} is in use.")
        if planned:
            typer.echo(f"{planned:,} items are planned from it.")


@app.command()
def runs(
    limit: Annotated[int, typer.Option(min=1, max=500, help="Runs shown.")] = 20,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """List the runs, newest first: what they saw, and which one is in use."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.forecasting.service import records

        with shell.reading(shell.actor()) as session:
            found = records.runs(session, limit=limit)
            latest = records.latest_run(session)
            rows = [_run(one, in_use=latest is not None and one.id == latest.id) for one in found]
        if is_json:
            shell.emit({"ok": True, "data": {"runs": rows}})
            return
        for row in rows:
            typer.echo(_run_line(row))
        if not rows:
            shell.note("No forecasts were run yet. Next: quartermaster forecast run")


def _run(one: "ForecastRun", *, in_use: bool) -> dict[str, Any]:
    state = "in use" if in_use else "finished"
    if one.rolled_back_at is not None:
        state = "rolled back"
    elif one.finished_at is None:
        state = "not finished"
    return {
        "id": one.id, "state": state, "as_of": one.as_of_on, "started_at": one.started_at,
        "finished_at": one.finished_at, "series": one.series_count, "grain": one.grain,
        "partitions": one.partitions, "partitions_done": one.partitions_done,
        "engine": one.settings.get("engine", "local"), "data_hash": one.data_hash,
        "versions": one.versions, "champions": one.settings.get("champions", {}),
    }  # fmt: skip


def _run_line(row: dict[str, Any]) -> str:
    line = (
        f"{row['id']:>5}  {row['state']:<12}  sales to {row['as_of'].isoformat()}  "
        f"{row['series']:>7,} series  data {row['data_hash'][:8]}"
    )
    if row["state"] == "not finished":
        line += f"  {row['partitions_done']} of {row['partitions']} partitions"
    return line


@app.command()
def rollback(
    run: Annotated[int, typer.Argument(help="Number of the run, as `runs` shows it.")],
    reason: ReasonOption,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Take a run back: the run before it is in use again, and the plan is made from that."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from api.planning import replan
        from tools.forecasting.service.records import roll_back

        actor, system = shell.actor(), shell.system
        with system.database.write() as session:
            stands = roll_back(session, run, reason=reason, actor=actor, clock=system.clock).id
        planned, _ = replan(system)
        if is_json:
            shell.emit({"ok": True, "data": {"in_use": stands, "planned_items": planned}})
        else:
            typer.echo(
                f"Run {run} is rolled back; run {stands} is in use, {planned:,} items planned."
            )


@app.command()
def models(as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """List what was tried and what is in use, by segment."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.forecasting.service.registry import registered

        with shell.reading(shell.actor()) as session:
            rows = [_model(one) for one in registered(session)]
        if is_json:
            shell.emit({"ok": True, "data": {"models": rows}})
            return
        for row in rows:
            typer.echo(
                f"{row['id']:>5}  {row['segment']:<12}  {row['state']:<10}  {row['models']}  "
                f"{_scores(row['metrics'])}"
            )
        if not any(row["state"] == "champion" for row in rows):
            shell.note("The default is in use for every segment: the median of cheap models.")


def _model(one: "ForecastModel") -> dict[str, Any]:
    return {
        "id": one.id, "segment": one.segment, "models": one.models, "state": one.state.value,
        "trained_at": one.trained_at, "metrics": one.metrics, "reason": one.reason,
        "data_hash": one.data_hash, "versions": one.versions, "promoted_at": one.promoted_at,
    }  # fmt: skip


def _scores(metrics: dict[str, Any]) -> str:
    if "challenger" not in metrics:
        return ""
    mine, theirs = metrics["challenger"], metrics["champion"]
    word = "better in every window" if metrics["is_better"] else "not better by 5 % in every window"
    return (
        f"WMAPE {mine['wmape']:.3f} against {theirs['wmape']:.3f}, bias {mine['bias']:+.3f}, "
        f"{metrics['series']} series: {word}"
    )


@app.command(name="try")
def try_(
    segment: SegmentArgument,
    names: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Their median counts.")],
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Score models against those in use, by rolling origin; nothing that is planned changes."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from dataclasses import asdict

        from tools.forecasting.service.registry import try_models

        actor, system = shell.actor(), shell.system
        trial = try_models(
            system.database, segment=segment, models=tuple(names), actor=actor,
            clock=system.clock, company=system.company,
        )  # fmt: skip
        if is_json:
            shell.emit({"ok": True, "data": asdict(trial)})
            return
        typer.echo(f"{trial.models}: {_scores(asdict(trial))}")
        if trial.is_better:
            shell.note(f"Next: quartermaster forecast promote {trial.model_id} --reason ...")


@app.command()
def promote(
    model: Annotated[int, typer.Argument(help="Number of the model, as `models` shows it.")],
    reason: ReasonOption,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Put a tried model in use for its segment, from the next run on."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.forecasting.service import registry

        actor, system = shell.actor(), shell.system
        with system.database.write() as session:
            row = _model(
                registry.promote(session, model, reason=reason, actor=actor, clock=system.clock)
            )
        _said(shell, row, f"{row['models']} forecasts {row['segment']} from the next run on.")


@app.command()
def demote(
    segment: SegmentArgument,
    reason: ReasonOption,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Take the model in use for a segment back: the one before it counts again, or the default."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.forecasting.service import registry

        actor, system = shell.actor(), shell.system
        with system.database.write() as session:
            found = registry.demote(
                session, segment, reason=reason, actor=actor, clock=system.clock
            )
            row = None if found is None else _model(found)
        name = "the default" if row is None else row["models"]
        _said(shell, row or {"models": "default"}, f"{name} forecasts {segment} again.")


def _said(shell: Terminal, row: dict[str, Any], told: str) -> None:
    if shell.is_json:
        shell.emit({"ok": True, "data": row})
    else:
        typer.echo(told)


@app.command()
def accuracy(as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Show how forecasts of past weeks were kept, by demand class, against repeating a week."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from dataclasses import asdict

        from tools.forecasting.service.tracking import kept_promises

        with shell.reading(shell.actor()) as session:
            found = {name: asdict(one) for name, one in kept_promises(session).items()}
        if is_json:
            known = {
                name: {k: None if v != v else v for k, v in one.items()}
                for name, one in found.items()
            }
            shell.emit({"ok": True, "data": {"classes": known}})
            return
        for name, one in found.items():
            typer.echo(
                f"{'all' if name == '*' else name:<12}  {one['series']:>6,} series  "
                f"{one['weeks']:>7,} weeks  WMAPE {one['wmape']:.3f}  bias {one['bias']:+.3f}  "
                f"{one['coverage']:.0%} inside 90 %  {one['naive_ratio']:.2f} x naive"
            )
        if not found:
            shell.note("No week of a forecast is over yet: it takes two runs, a week apart.")
