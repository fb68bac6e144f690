"""Channels: how an order reaches the supplier. Here: files in a folder."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from db.types import DocumentFormat
from tools.documents.core.order import Buyer
from tools.documents.core.render import render
from tools.errors import ExternalError
from tools.outbox.core import failed

LEDGER = ".delivered"


class Channel(Protocol):
    """A way out of the house.

    ``deliver`` raises what ``tools.outbox.core.failed`` makes; it says whether surely nothing
    arrived, which lets a channel that cannot recognise keys try again, and whether trying again
    helps at all. It ends, one way or the other, before the claim's lease does.
    """

    @property
    def name(self) -> str:
        """The name that an outbox row gives."""
        ...

    @property
    def is_idempotent(self) -> bool:
        """Whether the receiver recognises a key it has seen and does nothing twice."""
        ...

    def deliver(self, key: str, payload: Mapping[str, Any]) -> str:
        """Deliver once more or for the first time; returns the receiver's reference."""
        ...


class DropFolder:
    """Writes each order as JSON and CSV into a folder that an ERP (or a person) empties.

    Where the order asks for another format, that file lies beside them. The files of a key are the
    same bytes each time and appear complete or not at all; the JSON comes last, so whoever sees it
    sees them all. A key that was written once is not written again, even after the folder was
    emptied: the hidden file ``.delivered`` remembers it.

    One moment remains: a sender that dies after the files appeared and before it could remember
    writes them again. So the reader must recognise the ``key`` that the files carry, and book an
    order whose key it has seen only once; the JSON says so itself.
    """

    name = "file"
    is_idempotent = True

    def __init__(self, folder: Path, *, buyer: Buyer | None = None) -> None:
        self.folder = folder
        self._buyer = buyer

    def deliver(self, key: str, payload: Mapping[str, Any]) -> str:
        """Write ``<order>-r<revision>.json`` and ``.csv``; returns the name of the JSON file.

        Raises:
            ExternalError: The folder cannot be written, or holds another order of this name.
            InvalidInput: The order cannot be written in the format that it asks for.
        """
        stem = f"{_safe(str(payload['number']))}-r{int(payload['revision'])}"
        asked = DocumentFormat(payload.get("delivery", {}).get("format", DocumentFormat.JSON))
        forms = [DocumentFormat.CSV, asked, DocumentFormat.JSON]
        documents = [render(form, payload, self._buyer) for form in dict.fromkeys(forms)]
        documents.sort(key=lambda document: document.suffix == "json")  # last: it vouches for all
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if key in self._delivered():
                return f"{stem}.json"
            self._refuse_other_order(stem, key)
            for document in documents:
                _write_whole(self.folder / f"{stem}.{document.suffix}", document.content)
            self._remember(key)
        except OSError as error:
            raise failed(
                f"cannot write the order to the outgoing folder: {error.strerror or error!s}",
                next_step="Check that the folder exists, is writable and has space.",
                is_channel=True,
            ) from error
        return f"{stem}.json"

    def _delivered(self) -> frozenset[str]:
        ledger = self.folder / LEDGER
        if not ledger.exists():
            return frozenset()
        return frozenset(ledger.read_text(encoding="utf-8", errors="replace").splitlines())

    def _remember(self, key: str) -> None:
        """Add a key to the ledger, on a line of its own even after a torn write."""
        with (self.folder / LEDGER).open("a+b") as ledger:
            end = ledger.seek(0, os.SEEK_END)
            ledger.seek(max(0, end - 1))
            is_torn = ledger.read(1) not in (b"", b"\n")
            ledger.write(b"\n" * is_torn + key.encode() + b"\n")
            ledger.flush()
            os.fsync(ledger.fileno())
        _sync_folder(self.folder)

    def _refuse_other_order(self, stem: str, key: str) -> None:
        path = self.folder / f"{stem}.json"
        if not path.exists():
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8")).get("key")
        except (ValueError, AttributeError):
            found = None
        if found != key:
            raise ExternalError(
                f"the outgoing folder already holds another {path.name!r}",
                next_step="Move that file away; the order is sent again by itself.",
            )


def _safe(number: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]", "_", number)[:64]
    if not name.strip("_-"):
        raise ExternalError(f"order number {number!r} cannot name a file")
    return name


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it appears complete or not at all, and survives a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Make new names in a folder survive a power cut."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
