"""What the trail tells, held against the rows as they stand.

The chain proves that nobody changed the trail. It proves orders only when every row that matters
says the same as the trail: who approved what, for how much, and what left the house.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from db.types import ApprovalState, OrderState, OutboxState
from tools.audit.core.chain import Entry
from tools.records.core import ApprovalRow, OrderRow, Revision, RevisionRow, World


@dataclass
class Witness:
    """Hears every row of the trail once, then says what contradicts it."""

    world: World
    findings: list[str] = field(default_factory=list)
    _approved: set[Revision] = field(default_factory=set)
    _sent: set[str] = field(default_factory=set)
    _signed: set[str] = field(default_factory=set)
    _covered: set[tuple[str, str]] = field(default_factory=set)
    _left_as: dict[str, Revision] = field(default_factory=dict)  # before a supplier's changes

    def __post_init__(self) -> None:
        self._covered = {
            (row.order, row.fingerprint)
            for row in self.world.approvals.values()
            if row.state is ApprovalState.APPROVED
        }

    def hear(self, entry: Entry) -> None:
        """Compare what one row tells with what stands."""
        about = {
            "order.drafted": self._written,
            "order.revised": self._written,
            "approval.requested": self._requested,
            "approval.approve": self._decided,
            "approval.edit": self._decided,
            "approval.reject": self._decided,
            "order.approved": self._approved_order,
            "order.sent": self._sent_order,
            "order.answer_accepted": self._amended,
        }.get(entry.action)
        if about is not None:
            self.findings += about(entry)

    def conclude(self) -> list[str]:
        """Return every finding: first orders that lack a proof, then what the trail denies."""
        own = [order for order in self.world.orders.values() if not order.is_imported]
        unproven = [text for order in own for text in self._unproven(order)]
        unheard = [
            f"approval {row.number} is approved but the trail does not tell of it"
            for row in self.world.approvals.values()
            if row.state is ApprovalState.APPROVED and row.number not in self._signed
        ]
        unsealed = [
            f"delivery {row.key} exists but the trail does not tell that {row.order} was approved"
            for where, row in self.world.deliveries.items()
            if row.state is not OutboxState.CANCELLED and where not in self._approved
        ]
        return unproven + self.findings + unheard + unsealed

    def _written(self, entry: Entry) -> Iterator[str]:
        where = (entry.object_id, entry.after.get("revision", 0))
        row = self.world.revisions.get(where)
        order = self.world.orders.get(entry.object_id)
        if row is None or order is None:
            yield f"order {entry.object_id} lacks the revision {where[1]} of row {entry.seq}"
            return
        if order.is_imported:
            yield f"order {order.number} was drafted here (row {entry.seq}) but is marked imported"
        told = {"fingerprint": entry.after.get("fingerprint")}
        yield from _differ(entry, f"order {order.number}", told, {"fingerprint": row.fingerprint})

    def _requested(self, entry: Entry) -> Iterator[str]:
        row = self.world.approvals.get(str(entry.after.get("approval")))
        if row is None:
            yield f"approval {entry.after.get('approval')} of row {entry.seq} does not exist"
            return
        told = _told(entry, order=entry.object_id, requested_by=entry.actor)
        yield from _differ(entry, f"approval {row.number}", told, _stands(row))

    def _decided(self, entry: Entry) -> Iterator[str]:
        row = self.world.approvals.get(entry.object_id)
        if row is None:
            yield f"approval {entry.object_id} of row {entry.seq} does not exist"
            return
        decision = entry.action.removeprefix("approval.")
        if decision == "approve":
            self._signed.add(row.number)
        told = _told(entry, decided_by=entry.actor, decision=decision, reason=entry.reason)
        yield from _differ(entry, f"approval {row.number}", told, _stands(row))

    def _approved_order(self, entry: Entry) -> Iterator[str]:
        where = (entry.object_id, entry.after.get("revision", 0))
        self._approved.add(where)
        row = self.world.approvals.get(str(entry.after.get("approval")))
        if row is None:
            yield f"approval {entry.after.get('approval')} of row {entry.seq} does not exist"
            return
        told = _told(entry, order=entry.object_id, decided_by=entry.actor, is_spent=True)
        yield from _differ(entry, f"approval {row.number}", told, _stands(row))
        sent = self.world.deliveries.get(where)
        if sent is None:
            yield f"order {entry.object_id} was approved but has no delivery"
            return
        told = {"approval": entry.after.get("approval"), "payload": entry.after.get("payload")}
        stands = {"approval": sent.approval, "payload": sent.seal}
        yield from _differ(entry, f"delivery {sent.key}", told, stands)

    def _sent_order(self, entry: Entry) -> Iterator[str]:
        self._sent.add(entry.object_id)
        order = self.world.orders.get(entry.object_id)
        sent = self.world.deliveries.get((entry.object_id, entry.after.get("revision", 0)))
        if order is None or not order.is_sent:
            yield f"order {entry.object_id} was sent (row {entry.seq}) but does not say so"
        if sent is None or sent.state is not OutboxState.DELIVERED:
            yield f"order {entry.object_id} was sent without a delivered outbox row"

    def _amended(self, entry: Entry) -> Iterator[str]:
        """A supplier's change that a person accepted: a new revision of an order that had left."""
        before = (entry.object_id, entry.before.get("revision", 0))
        self._left_as.setdefault(entry.object_id, before)
        row = self.world.revisions.get((entry.object_id, entry.after.get("revision", 0)))
        if row is None:
            yield f"order {entry.object_id} lacks the revision that row {entry.seq} tells of"
            return
        told = {"fingerprint": entry.after.get("fingerprint")}
        stands = {"fingerprint": row.fingerprint}
        yield from _differ(entry, f"order {entry.object_id}", told, stands)

    def _left(self, order: OrderRow) -> tuple[Revision, str]:
        """Return the revision that left the house, and its fingerprint."""
        where = self._left_as.get(order.number, (order.number, order.revision))
        written = self.world.revisions.get(where)
        is_amended = order.number in self._left_as
        return where, written.fingerprint if is_amended and written else order.fingerprint

    def _unproven(self, order: OrderRow) -> Iterator[str]:
        where, left_print = self._left(order)
        delivery = self.world.deliveries.get(where)
        is_delivered = delivery is not None and delivery.state is OutboxState.DELIVERED
        is_approved = order.is_sent or order.state is OrderState.APPROVED
        lacks = {
            "an approval of its content": (order.number, left_print) in self._covered,
            "the trail telling of its approval": where in self._approved,
            "a delivered outbox row": is_delivered or not order.is_sent,
            "the trail telling that it was sent": order.number in self._sent or not order.is_sent,
        }
        verb = "was sent" if order.is_sent else "is approved"
        for proof, is_there in lacks.items():
            if is_approved and not is_there:
                yield f"order {order.number} {verb} without {proof}"
        if is_delivered and not order.is_sent:
            yield f"order {order.number} was delivered but does not say so"
        if order.state is not OrderState.DRAFT:
            written = self.world.revisions.get((order.number, order.revision))
            yield from _rewritten(order, written)


def _rewritten(order: OrderRow, written: RevisionRow | None) -> Iterator[str]:
    """Say where an order is not what its revision says, or its revision not what it was."""
    name = f"order {order.number}"
    if written is None or written.content is None:
        yield f"{name} has no readable revision {order.revision}"
        return
    content = written.content
    if not written.seal == written.fingerprint == order.fingerprint:
        yield f"{name}: revision {order.revision} does not have the fingerprint of its content"
        return
    stands = {
        "number": order.number, "revision": order.revision, "ship_to": order.ship_to,
        "currency": order.currency, "total_minor": order.total_minor,
        "need_by": order.need_by.isoformat() if order.need_by else None,
        "supplier": order.supplier,
        "lines": [list(line) for line in order.lines],
    }  # fmt: skip
    try:
        lines = [[row["sku"], row["units"], row["unit_price_minor"]] for row in content["lines"]]
        signed = {**content, "supplier": content["supplier"]["code"], "lines": lines}
    except (KeyError, TypeError):
        yield f"{name}: revision {order.revision} is not an order"
        return
    for what, value in stands.items():
        if value != signed.get(what):
            yield f"{name}: {what} is {value!r}, its revision says {signed.get(what)!r}"


def _told(entry: Entry, **more: object) -> dict[str, object]:
    names = ("revision", "fingerprint", "total_minor")
    return {name: entry.after[name] for name in names if name in entry.after} | more


def _stands(row: ApprovalRow) -> dict[str, object]:
    return dict(vars(row))


def _differ(
    entry: Entry, name: str, told: Mapping[str, object], stands: Mapping[str, object]
) -> Iterator[str]:
    for what, value in told.items():
        if stands[what] != value:
            yield f"{name}: {what} is {stands[what]!r}, row {entry.seq} of the trail says {value!r}"
