"""Commands that move data: ingest, plan, deliver, serve."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.terminal import JsonOption, Terminal, jsonable, terminal, usage_error

MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Which column holds a field; repeatable."),
]


def ingest(
    kind: Annotated[str, typer.Argument(help="sales, items, stock, suppliers or orders.")],
    file: Annotated[Path, typer.Argument(help="CSV, Excel or Parquet file.")],
    mapping: MapOption = None,
    is_json: JsonOption = False,
) -> None:
    """Load a file: good rows enter together, bad rows are set aside and named."""
    columns = _mapping(mapping or [])
    with terminal(is_json=is_json, may_create=True) as shell:
        from api.cli.identity import loader
        from tools.ingestion import service as ingestion

        with shell.progress(f"Loading {file.name}") as progress:
            report = ingestion.ingest(
                shell.system.database, kind, file, clock=shell.system.clock, mapping=columns,
                progress=progress, currency=shell.settings.company_currency,
                timezone=shell.settings.timezone, actor=loader(shell.system, shell.settings),
            )  # fmt: skip
        if shell.is_json:
            shell.emit({"ok": True, "data": report})
        else:
            from api.cli import screens

            shell.show(screens.load_report(jsonable(report)))


def _mapping(pairs: list[str]) -> dict[str, str] | None:
    columns: dict[str, str] = {}
    for pair in pairs:
        field, found, column = pair.partition("=")
        if not (field and found and column):
            usage_error(f"--map takes FIELD=COLUMN, got {pair!r}")
        columns[field.strip()] = column.strip()
    return columns or None


def plan(is_json: JsonOption = False) -> None:
    """Forecast every item and compute what to order, now."""
    with terminal(is_json=is_json) as shell:
        from api.planning import run_plan

        with shell.progress("Forecasting and planning") as progress:
            summary = run_plan(shell.system, progress)
        if shell.is_json:
            shell.emit({"ok": True, "data": summary})
            return
        from api.cli import screens

        shell.show(screens.plan_line(summary.items, summary.recommendations))
        shell.note(f"{summary.seconds:.1f} s. Next: quartermaster today", "dim")


def deliver(is_json: JsonOption = False) -> None:
    """Deliver approved orders that are due, once; `serve` does this by itself."""
    with terminal(is_json=is_json) as shell:
        from api.cli.deliveries import deliver_now

        deliveries = deliver_now(shell)
        if shell.is_json:
            shell.emit({"ok": True, "data": {"deliveries": deliveries}})
        elif not deliveries:
            shell.note(_why_nothing(shell))


def _why_nothing(shell: Terminal) -> str:
    from tools.policy.service import current

    with shell.system.database.read() as session:
        if current(session).dispatch_enabled:
            return "Nothing is due."
    return (
        "Nothing leaves: dispatch is stopped. An admin starts it again with "
        "`quartermaster dispatch start --reason ...`"
    )


def serve(
    host: Annotated[str | None, typer.Option(help="Address; default: QM_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; default: QM_PORT.")] = None,
) -> None:
    """Serve the REST door and deliver approved orders until stopped."""
    with terminal(settings={"host": host, "port": port}, may_create=True) as shell:
        from api.app import run_server
        from api.inbound import load_sources

        settings = shell.settings
        load_sources(settings)  # refuses an unreadable file before anything is said
        shell.note(f"Serving on http://{settings.host}:{settings.port} (Ctrl-C stops).")
        run_server(shell.system)
