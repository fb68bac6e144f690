"""Commands that keep the house: `backup` and `restore`."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.terminal import JsonOption, jsonable, terminal

TargetArgument = Annotated[
    Path, typer.Argument(help="A folder that does not exist yet, or a file that ends in .tar.gz.")
]
SourceArgument = Annotated[Path, typer.Argument(help="A folder or .tar.gz that `backup` made.")]


def backup(path: TargetArgument, is_json: JsonOption = False) -> None:
    """Copy database, conversations, deliveries and anchors while work goes on; never the keys."""
    with terminal(is_json=is_json) as shell:
        from api.backup.create import create

        with shell.progress("Copying and checking") as progress:
            made = create(shell.system, path, progress=progress)
        found = made.manifest
        if shell.is_json:
            shell.emit({"ok": True, "data": jsonable(made)})
            return
        shell.show(
            f"Backup {made.path}: {len(found.files)} files, {_size(found.size_bytes)}, "
            f"{found.audit_rows:,} audit rows verified."
        )
        shell.note(
            f"Keys are not in it. Keep {shell.settings.audit_key_file} and the key files beside "
            "it in another safe place: without them no backup can be restored."
        )
        shell.note("Try it before you need it: docs/operations.md has the drill.")


def restore(path: SourceArgument, is_json: JsonOption = False) -> None:
    """Bring a backup back into an empty place; nothing is sent until an administrator says so."""
    with terminal(is_json=is_json, may_create=True) as shell:
        from api.backup.restore import restore as bring_back

        with shell.progress("Checking and restoring") as progress:
            restored = bring_back(shell.settings, path, progress=progress)
        if shell.is_json:
            shell.emit({"ok": True, "data": jsonable(restored)})
            return
        found = restored.manifest
        shell.show(
            f"Restored the backup of {found.made_at:%-d %B %Y %H:%M} UTC: "
            f"{sum(found.rows.values()):,} rows, {found.audit_rows:,} audit rows verified."
        )
        shell.show("Dispatch is off. Before you turn it on:")
        shell.show(*_next_steps(restored.in_doubt))


def _next_steps(in_doubt: tuple[str, ...]) -> list[str]:
    return [f"  {number}. {text}" for number, text in enumerate(_steps(in_doubt), start=1)]


def _steps(in_doubt: tuple[str, ...]) -> list[str]:
    asked = [
        f"Ask the supplier about {key.split(':')[1]}: it waited to be sent and may have arrived. "
        f"Then: quartermaster settle {key.split(':')[1]} --help"
        for key in in_doubt
    ]
    return [
        *asked,
        "Requests that waited for a decision are void: they may have been approved and sent since. "
        "The same is true of drafts. Look through suppliers' confirmations, sent mails and files "
        "since the backup; what nobody has is revised before approval can be asked for again.",
        "Enter again what people did after the backup: receipts, imports.",
        "quartermaster doctor",
        "quartermaster dispatch start --reason ... (an administrator)",
    ]


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"
