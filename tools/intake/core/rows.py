"""Rows of text to checked rows: what is good, what is set aside and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from tools.errors import InvalidInput
from tools.intake.core.kinds import DATE_ORDER, Kind, Values
from tools.intake.core.values import DateOrder, Memo, date_evidence


class TextRow(NamedTuple):
    """A row as read; ``number`` counts like a spreadsheet, the header being row 1."""

    number: int
    cells: Sequence[str]


class GoodRow(NamedTuple):
    """A row that can be loaded."""

    number: int
    values: Values


class BadRow(NamedTuple):
    """A row that is set aside."""

    number: int
    field: str
    reason: str
    value: str


@dataclass(frozen=True)
class Checked:
    """A batch of rows, divided; together they are as many as were read."""

    good: list[GoodRow]
    bad: list[BadRow]


class RowChecker:
    """Checks the rows of one file, in order; remembers what must not come twice."""

    def __init__(
        self, kind: Kind, header: Sequence[str], columns: Mapping[str, str], *,
        order: DateOrder | None, today: date,
    ) -> None:  # fmt: skip
        self.kind = kind
        self.width = len(header)
        self.seen: set[Any] = set()
        self.absent: Values = {}
        self.plan: list[tuple[str, int, Memo]] = []
        for field in kind.fields:
            parser = field.parser_for(order, today)
            if field.name in columns:
                position = list(header).index(columns[field.name])
                self.plan.append((field.name, position, Memo(parser)))
            else:
                self.absent[field.name] = parser("")[0]

    def check(self, rows: Iterable[TextRow]) -> Checked:
        """Divide a batch into good and bad rows."""
        good: list[GoodRow] = []
        bad: list[BadRow] = []
        for row in rows:
            values, problem = self._parse(row)
            if problem is None:
                problem = self._problem(row, values)
            if problem is None:
                good.append(GoodRow(row.number, values))
            else:
                bad.append(problem)
        return Checked(good, bad)

    def _parse(self, row: TextRow) -> tuple[Values, BadRow | None]:
        cells = row.cells
        if len(cells) != self.width:
            reason = f"has {len(cells)} cells, the header has {self.width}"
            return {}, BadRow(row.number, "row", reason, " | ".join(cells)[:200])
        values = self.absent.copy()
        for name, position, memo in self.plan:
            value, reason = memo[cells[position]]
            if reason:
                return {}, BadRow(row.number, name, reason, cells[position][:200])
            values[name] = value
        return values, None

    def _problem(self, row: TextRow, values: Values) -> BadRow | None:
        field, reason = self.kind.rule(values)
        if reason:
            cells = [row.cells[where] for name, where, _ in self.plan if name == field]
            return BadRow(row.number, field, reason, cells[0][:200] if cells else "")
        identity: Any
        if self.kind.identity is not None:
            identity = self.kind.identity(values)
        elif values.get("reference"):
            # A whole row that comes again under the same document is one line sent twice. Its hash
            # stands for it: a million rows are kept in mind, and 64 bits do not collide by chance.
            identity = hash(tuple(row.cells))
        else:
            return None
        if identity in self.seen:
            return BadRow(row.number, "row", "was in the file before", " | ".join(row.cells)[:200])
        self.seen.add(identity)
        return None


def date_order(
    kind: Kind, columns: Mapping[str, str], header: Sequence[str], rows: Iterable[TextRow],
    mapping: Mapping[str, str] | None,
) -> DateOrder | None:  # fmt: skip
    """Order of day and month in a file: as told, else as its dates show.

    Raises:
        InvalidInput: The dates can be read two ways, or contradict each other.
    """
    told = (mapping or {}).get(DATE_ORDER)
    if told is not None:
        if told not in set(DateOrder):
            raise InvalidInput(
                f"{DATE_ORDER} is {told!r}", next_step="Use dmy (day first) or mdy (month first)."
            )
        return DateOrder(told)
    dates = [field.name for field in kind.fields if field.parser is None and field.name in columns]
    positions = [list(header).index(columns[name]) for name in dates]
    found = date_evidence(
        row.cells[where] for row in rows for where in positions if where < len(row.cells)
    )
    way_out = f"Say which comes first: --map {DATE_ORDER}=dmy or --map {DATE_ORDER}=mdy"
    if found.conflict:
        raise InvalidInput(
            f"the file mixes day-first and month-first dates: {found.conflict!r} contradicts the "
            "others",
            next_step=f"Correct the dates in the file. {way_out}",
        )
    if found.order is None and found.example:
        raise InvalidInput(
            f"dates like {found.example!r} can be read two ways and no date of the file decides",
            next_step=way_out,
        )
    return found.order
