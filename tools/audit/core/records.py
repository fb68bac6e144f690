"""What stands beside the trail, also where this program could not have written a record."""

from collections.abc import Callable, Sequence

from tools.audit.core.reading import Row
from tools.audit.core.witness import Witness
from tools.records.core import World

# SQLite takes any bytes for a number, a time or a document, and reading them fails anywhere.
_UNREADABLE = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)


class Records:
    """Holds what the trail tells against what stands; what cannot be read is a finding."""

    def __init__(self, read: Callable[[], World]) -> None:
        self._problem = ""
        self._witness: Witness | None = None
        try:
            self._witness = Witness(read())
        except _UNREADABLE as error:
            self._note(error)

    def hear(self, row: Row) -> None:
        """Take a row of the trail that holds."""
        if self._witness is None or self._problem:
            return
        try:
            self._witness.hear(row)
        except _UNREADABLE as error:
            self._note(error)

    def conclude(self) -> Sequence[str]:
        """Return what is wrong, after the last row."""
        findings: Sequence[str] = ()
        try:
            if self._witness is not None and not self._problem:
                findings = self._witness.conclude()
        except _UNREADABLE as error:
            self._note(error)
        return [self._problem] if self._problem else findings

    def _note(self, error: Exception) -> None:
        self._problem = f"a record holds what this program never writes: {error}"
