"""What the trail tells of bookings, suppliers' answers and people, held against their rows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from db.types import AnswerState, ReceiptKind
from tools.records.core import BookingRow, World

_RIGHTS = ("role", "approval_limit_minor", "is_active")
_DECIDED = (AnswerState.ACCEPTED, AnswerState.DECLINED)


class Told(NamedTuple):
    """What one row of the trail says that somebody may contradict."""

    seq: int
    actor: str
    action: str
    object_id: str
    after: Mapping[str, Any]
    reason: str


@dataclass
class Bookings:
    """Hears what was booked, answered and granted, then says what was not told or is otherwise."""

    world: World
    _booked: set[str] = field(default_factory=set)
    _answered: set[str] = field(default_factory=set)
    _rights: dict[str, dict[str, tuple[int, object]]] = field(default_factory=dict)

    def about(self) -> dict[str, Callable[[Told], Iterator[str]]]:
        """Return who hears which action."""
        return {
            "order.wrong_goods": self.strays,
            "order.receipt_reversed": self._reversed,
            "order.goods_returned": self._returned,
            "order.answer_declined": self.answered,
            "user.added": self.granted,
            "user.changed": self.granted,
        }

    def strays(self, told: Told) -> Iterator[str]:
        """Goods that nobody ordered, alone or with a delivery that was."""
        note = f"{told.object_id}:{told.after.get('delivery_note', '')}"
        for position, (_, units, disposition) in enumerate(told.after.get("wrong", ()), start=1):
            rejected = units if disposition == "send_back" else 0
            row = BookingRow(f"{note}:x{position}", ReceiptKind.WRONG_ITEM.value, units, rejected)
            yield from self._stands(told, row)

    def answered(self, told: Told) -> Iterator[str]:
        """What a person said to a supplier's answer."""
        number = str(told.after.get("answer", ""))
        self._answered.add(number)
        row = self.world.answers.get(number)
        if row is None:
            yield f"answer {number} of row {told.seq} does not exist"
            return
        is_yes = told.action == "order.answer_accepted"
        says = {
            "order": told.object_id,
            "state": (AnswerState.ACCEPTED if is_yes else AnswerState.DECLINED).value,
            "decided_by": told.actor,
            "result_revision": told.after.get("revision") if is_yes else None,
        }
        for what, value in says.items():
            if (stands := getattr(row, what)) != value:
                yield (
                    f"answer {number}: {what} is {stands!r}, row {told.seq} of the trail says "
                    f"{value!r}"
                )

    def untold(self) -> Iterator[str]:
        """Say what stands otherwise than it was told last, or that nobody told of."""
        for name in self.world.bookings.keys() - self._booked:
            row = self.world.bookings[name]
            yield f"receipt {name} ({row.kind}) is booked but the trail does not tell of it"
        for answer in self.world.answers.values():
            if answer.state in _DECIDED and answer.number not in self._answered:
                yield f"answer {answer.number} is {answer.state} but the trail does not tell of it"
        yield from self._wrong_rights()
        for level in self.world.stock_differences:
            yield (
                f"stock of {level.sku} at {level.place} is {level.held_units:,}, its movements sum "
                f"to {level.moved_units:,} (`quartermaster stock check`)"
            )

    def _wrong_rights(self) -> Iterator[str]:
        for login, rights in self._rights.items():
            user = self.world.users.get(login)
            if user is None:
                yield f"user {login} is not there, the trail tells of them"
                continue
            for what, (seq, says) in rights.items():
                if (stands := getattr(user, what)) != says:
                    yield (
                        f"user {login}: {what} is {stands!r}, row {seq} of the trail says {says!r}"
                    )

    def granted(self, told: Told) -> Iterator[str]:
        """What a person may, said anew."""
        rights = self._rights.setdefault(told.object_id, {})
        rights.update(
            {what: (told.seq, told.after[what]) for what in _RIGHTS if what in told.after}
        )
        yield from ()

    def _reversed(self, told: Told) -> Iterator[str]:
        for name in told.after.get("receipts", ()):
            counter = f"{name}:reversed"
            self._booked.add(counter)
            row = self.world.bookings.get(counter)
            if row is None or row.kind != ReceiptKind.REVERSAL:
                yield f"receipt {name} lacks the counter-entry that row {told.seq} tells of"
            elif row.units != row.of_units:
                yield f"receipt {counter}: units are {row.units}, it reverses {row.of_units}"

    def _returned(self, told: Told) -> Iterator[str]:
        for sku, units in told.after.get("units", {}).items():
            name = f"{told.object_id}:{told.after.get('return_note', '')}:" + f"return:{sku}"[:50]
            yield from self._stands(told, BookingRow(name, ReceiptKind.RETURN.value, units, 0))

    def _stands(self, told: Told, says: BookingRow) -> Iterator[str]:
        self._booked.add(says.reference)
        row = self.world.bookings.get(says.reference)
        if row is None:
            yield f"receipt {says.reference} of row {told.seq} does not exist"
        elif row != says:
            yield (
                f"receipt {says.reference}: {row.kind} of {row.units} ({row.rejected_units} "
                f"refused), row {told.seq} of the trail says {says.kind} of {says.units} "
                f"({says.rejected_units} refused)"
            )
