"""The `quartermaster` command. Imports typer and the light command modules, nothing else."""

from typing import Annotated

import typer

from api.cli import (
    answers,
    audit,
    backtest,
    backup,
    chat,
    decide,
    deliveries,
    demand,
    demo,
    doctor,
    explain,
    forecasts,
    inbound,
    keys,
    look,
    operate,
    policy,
    rates,
    receipts,
    replenishment,
    stock,
    suppliers,
    supply,
    users,
    whatif,
)

HELP = (
    "Inventory operations in a terminal: see what to order, ask why, draft, decide.\n\n"
    "Tools compute every number, the agent drafts, a person decides; only then does an order leave."
    "\n\n"
    "Who you are: whoever can open the database file is trusted as the local operator and works as "
    "QM_USER or --as LOGIN. On a PostgreSQL database, and wherever QM_API_KEY is set, the key says "
    "who you are and a different --as is refused.\n\n"
    "Data goes to standard output, progress and prompts to standard error. Exit codes: 0 done, "
    "1 error, 2 wrong usage, 3 not approved, 4 changed or decided meanwhile, 5 not allowed. "
    "Settings are QM_... variables, see docs/configuration.md."
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"quartermaster {version('quartermaster')}")
        raise typer.Exit


app = typer.Typer(
    name="quartermaster",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(help=HELP)
def program(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Options of the program itself."""


app.command(rich_help_panel="Start")(demo.demo)
app.command(rich_help_panel="Start")(chat.chat)
app.command(rich_help_panel="Start")(doctor.doctor)
app.command(rich_help_panel="Look")(look.today)
app.command(rich_help_panel="Look")(look.item)
app.command(rich_help_panel="Look")(explain.explain)
app.command(rich_help_panel="Look")(look.orders)
app.command(name="what-if", rich_help_panel="Look")(whatif.what_if)
app.command(rich_help_panel="Look")(backtest.backtest)
app.command(rich_help_panel="Decide")(decide.approvals)
app.command(rich_help_panel="Decide")(decide.approve)
app.command(rich_help_panel="Decide")(decide.reject)
app.command(rich_help_panel="Operate")(supply.confirm)
app.command(rich_help_panel="Operate")(supply.receive)
app.command(rich_help_panel="Operate")(operate.ingest)
app.command(rich_help_panel="Operate")(operate.plan)
app.command(rich_help_panel="Operate")(operate.deliver)
app.command(rich_help_panel="Operate")(supply.settle)
app.command(name="short-close", rich_help_panel="Operate")(supply.short_close)
app.command(rich_help_panel="Operate")(supply.close)
app.command(rich_help_panel="Operate")(rates.rate)
app.command(rich_help_panel="Operate")(operate.serve)
app.command(rich_help_panel="Operate")(backup.backup)
app.command(rich_help_panel="Operate")(backup.restore)
app.command(rich_help_panel="Operate")(deliveries.work)
app.add_typer(answers.app, name="answers", rich_help_panel="Decide")
app.add_typer(inbound.app, name="inbound", rich_help_panel="Operate")
app.add_typer(receipts.app, name="receipts", rich_help_panel="Operate")
app.add_typer(stock.app, name="stock", rich_help_panel="Operate")
app.add_typer(audit.app, name="audit", rich_help_panel="Operate")
app.add_typer(demand.app, name="demand", rich_help_panel="Operate")
app.add_typer(suppliers.app, name="suppliers", rich_help_panel="Operate")
app.add_typer(replenishment.app, name="replenishment", rich_help_panel="Operate")
app.add_typer(policy.app, name="policy", rich_help_panel="Operate")
app.add_typer(policy.dispatch, name="dispatch", rich_help_panel="Operate")
app.add_typer(forecasts.app, name="forecast", rich_help_panel="Operate")
app.add_typer(users.app, name="users", rich_help_panel="Operate")
app.add_typer(keys.app, name="keys", rich_help_panel="Operate")


def main() -> None:
    """Run the program."""
    app(prog_name="quartermaster")


if __name__ == "__main__":
    main()
