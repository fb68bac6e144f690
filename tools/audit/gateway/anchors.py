"""The file that holds the trail's end from outside the database."""

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlmodel import Session

from tools.audit.core.anchors import Anchor, anchor_line, is_due, line_hash, read_anchor
from tools.audit.gateway.keys import sync_folder
from tools.audit.service import head, key_of
from tools.errors import Conflict, ExternalError


class AnchorFile:
    """Anchors, one a line; written by one process at a time, each line whole and on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[str]:
        """Return the lines; one that a crash left unfinished is not a line.

        Raises:
            ExternalError: The file cannot be read.
        """
        if not self.path.exists():
            return []
        try:
            content = self.path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise _unusable(self.path, error) from error
        return content.split("\n")[:-1]

    def last(self) -> str | None:
        """Return the newest line; reads the end of the file only."""
        if not self.path.exists():
            return None
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").split("\n")[:-1]
        return lines[-1] if lines else None

    def extend(self, follow: Callable[[str | None], str | None]) -> bool:
        """Add the line that follows the newest one.

        Args:
            follow: Gets the newest line; returns the next, or None to add none.

        Returns:
            Whether a line was added.

        Raises:
            ExternalError: The file cannot be written.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked() as descriptor:
                line = follow(self.last())
                if line is None:
                    return False
                os.ftruncate(descriptor, _finished_bytes(self.path))
                os.write(descriptor, line.encode() + b"\n")
                os.fsync(descriptor)
            sync_folder(self.path.parent)
            return True
        except OSError as error:
            raise _unusable(self.path, error) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        import fcntl

        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


def anchor(
    session: Session,
    store: AnchorFile,
    *,
    at: datetime,
    every_rows: int = 1,
    every: timedelta = timedelta(0),
) -> bool:
    """Write down outside the database where the trail ends, if there is something new.

    Args:
        session: A transaction that sees only what is committed.
        store: Where anchors are kept.
        at: Now.
        every_rows: An anchor is due after so many new rows,
        every: or when rows are new and the last anchor is this old.

    Returns:
        Whether an anchor was written.

    Raises:
        Conflict: The trail is shorter than its newest anchor says.
    """
    end = head(session)

    def follow(newest: str | None) -> str | None:
        last = read_anchor(newest) if newest is not None else None
        if last is not None and end.seq < last.seq:
            raise Conflict(
                f"the audit trail has {end.seq:,} rows, but row {last.seq:,} was anchored",
                next_step="Run `quartermaster audit verify`; after a restore move the anchor file "
                "aside, so that a new one begins.",
            )
        if not is_due(last, rows=end.seq, at=at, every_rows=every_rows, every=every):
            return None
        when = at.astimezone(UTC).isoformat(timespec="microseconds")
        made = Anchor(end.seq, end.mac, end.seq, when, end.signer, line_hash(newest))
        return anchor_line(key_of(session, end.signer), made)

    return store.extend(follow)


def _finished_bytes(path: Path) -> int:
    """Return how long the file is without a line that a crash left unfinished."""
    content = path.read_bytes()
    return content.rfind(b"\n") + 1


def _unusable(path: Path, error: OSError) -> ExternalError:
    return ExternalError(
        f"the anchor file {str(path)!r} cannot be used: {error.strerror}",
        next_step="Check QM_ANCHOR_FILE, and whether its volume is mounted.",
    )
