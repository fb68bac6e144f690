"""What the trail tells, held against the rows as they stand.

The chain proves that nobody changed the trail. It proves orders only when every row that matters
says the same as the trail: who approved what, for how much, what left the house, what came in, by
which policy and from which file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from db.types import ApprovalState, LoadState, OrderState, OutboxState
from tools.audit.core.bookings import Bookings, Told
from tools.audit.core.grants import Grants
from tools.audit.core.reading import Row, object_told
from tools.records.core import ApprovalRow, OrderRow, Revision, RevisionRow, World

_SIGNATURE = ("printed_name", "is_reauthenticated")


@dataclass
class Witness:
    """Hears every row of the trail once, then says what contradicts it."""

    world: World
    findings: list[str] = field(default_factory=list)
    _approved: set[Revision] = field(default_factory=set)
    _sent: set[str] = field(default_factory=set)
    _signed: dict[str, set[str]] = field(default_factory=dict)  # request: who put a name under it
    _decided: set[str] = field(default_factory=set)
    _received: set[str] = field(default_factory=set)
    _left_as: dict[str, int] = field(default_factory=dict)  # revision before a supplier's changes
    _loads: set[int] = field(default_factory=set)
    _policies: set[int] = field(default_factory=set)
    _bookings: Bookings = field(init=False)
    _grants: Grants = field(init=False)
    _about: dict[str | bytes, Callable[[Told], Iterator[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._bookings, self._grants = Bookings(self.world), Grants(self.world.grants)
        about: dict[str, Callable[[Told], Iterator[str]]] = {
            **self._bookings.about(),
            **self._grants.about(),
            "user.changed": self._user_changed,
            "order.drafted": self._order_written,
            "order.revised": self._order_written,
            "order.approved": self._order_approved,
            "order.sent": self._order_sent,
            "order.answer_accepted": self._answer_accepted,
            "order.received": self._goods_received,
            "approval.requested": self._asked,
            "approval.signed": self._name_given,
            "approval.approve": self._decision,
            "approval.edit": self._decision,
            "approval.reject": self._decision,
            "load.published": self._file_loaded,
            "policy.changed": self._policy_changed,
        }
        # As text and as the bytes that SQLite gives: most rows are looked up here and no further.
        self._about.update(about)
        self._about.update({name.encode(): hear for name, hear in about.items()})

    def hear(self, row: Row) -> None:
        """Compare what one row that holds tells with what stands."""
        hear = self._about.get(row[4])
        if hear is not None:
            seq, _, actor, _, action, number, _, after, _, reason, *_ = row
            if isinstance(action, bytes):
                actor, action, number, reason = (
                    actor.decode(), action.decode(), number.decode(), reason.decode()
                )  # fmt: skip
            self.findings += hear(Told(seq, actor, action, number, object_told(after), reason))

    def conclude(self) -> list[str]:
        """Return every finding: first orders that lack a proof, then what the trail denies."""
        covered = {
            (row.order, row.fingerprint)
            for row in self.world.approvals.values()
            if row.state == ApprovalState.APPROVED
        }
        own = [order for order in self.world.orders.values() if not order.is_imported]
        unproven = [text for order in own for text in self._unproven(order, covered)]
        unsigned = [text for row in self.world.approvals.values() for text in self._unsigned(row)]
        unsealed = [
            f"delivery {row.key} exists but the trail does not tell that {row.order} was approved"
            for where, row in self.world.deliveries.items()
            if row.state != OutboxState.CANCELLED and where not in self._approved
        ]
        return [
            *unproven,
            *self.findings,
            *unsigned,
            *unsealed,
            *self._untold(),
            *self._bookings.untold(),
            *self._grants.untold(),
            *self.world.line_differences,
        ]

    def _user_changed(self, told: Told) -> Iterator[str]:
        yield from self._bookings.granted(told)
        yield from self._grants.access_ended(told)

    def _order_written(self, told: Told) -> Iterator[str]:
        where = (told.object_id, told.after.get("revision", 0))
        row = self.world.revisions.get(where)
        order = self.world.orders.get(told.object_id)
        if row is None or order is None:
            yield f"order {told.object_id} lacks the revision {where[1]} of row {told.seq}"
            return
        if order.is_imported:
            yield f"order {order.number} was drafted here (row {told.seq}) but is marked imported"
        says = told.after.get("fingerprint")
        yield from _differ(told, f"order {order.number}", row, fingerprint=says)

    def _answer_accepted(self, told: Told) -> Iterator[str]:
        """A supplier's change that a person accepted: a new revision of an order that had left."""
        yield from self._bookings.answered(told)
        self._left_as.setdefault(told.object_id, told.after.get("from_revision", 0))
        row = self.world.revisions.get((told.object_id, told.after.get("revision", 0)))
        if row is None:
            yield f"order {told.object_id} lacks the revision that row {told.seq} tells of"
            return
        says = told.after.get("fingerprint")
        yield from _differ(told, f"order {told.object_id}", row, fingerprint=says)

    def _left(self, order: OrderRow) -> tuple[tuple[str, int], str]:
        """Return the revision in which an order left the house, and its fingerprint."""
        where = (order.number, self._left_as.get(order.number, order.revision))
        row = self.world.revisions.get(where)
        is_changed = order.number in self._left_as
        return where, row.fingerprint if is_changed and row is not None else order.fingerprint

    def _asked(self, told: Told) -> Iterator[str]:
        row = self._request(told.after.get("approval"))
        if row is None:
            yield f"approval {told.after.get('approval')} of row {told.seq} does not exist"
            return
        name = f"approval {row.number}"
        says = _seen(told, "expires_at")
        yield from _differ(told, name, row, **says, order=told.object_id, requested_by=told.actor)

    def _name_given(self, told: Told) -> Iterator[str]:
        """One name of several, or the last one: it must stand under the request."""
        self._signed.setdefault(told.object_id, set()).add(told.actor)
        row = self.world.approvals.get(told.object_id)
        if row is None:
            yield f"approval {told.object_id} of row {told.seq} does not exist"
            return
        mine = [name for name in row.signatures if name.login == told.actor]
        if told.after.get("fingerprint") not in [name.fingerprint for name in mine]:
            yield f"approval {row.number} lacks the signature of {told.actor!r} (row {told.seq})"
            return
        says = {what: told.after[what] for what in _SIGNATURE if what in told.after}
        yield from _differ(told, f"signature of {told.actor} on {row.number}", mine[0], **says)

    def _decision(self, told: Told) -> Iterator[str]:
        row = self.world.approvals.get(told.object_id)
        decision = told.action.removeprefix("approval.")
        if decision == "approve":
            self._decided.add(told.object_id)
            yield from self._name_given(told)
        elif row is None:
            yield f"approval {told.object_id} of row {told.seq} does not exist"
        if row is not None:
            says = {"decided_by": told.actor, "decision": decision, "reason": told.reason}
            yield from _differ(told, f"approval {row.number}", row, **_seen(told), **says)

    def _order_approved(self, told: Told) -> Iterator[str]:
        where = (told.object_id, told.after.get("revision", 0))
        self._approved.add(where)
        row = self._request(told.after.get("approval"))
        if row is None:
            yield f"approval {told.after.get('approval')} of row {told.seq} does not exist"
            return
        seen = _seen(told, "company_total_minor", "consumed_at")
        says = {"order": told.object_id, "decided_by": told.actor, "is_spent": True}
        yield from _differ(told, f"approval {row.number}", row, **seen, **says)
        sent = self.world.deliveries.get(where)
        if sent is None:
            yield f"order {told.object_id} was approved but has no delivery"
            return
        says = {"approval": told.after.get("approval"), "seal": told.after.get("payload")}
        yield from _differ(told, f"delivery {sent.key}", sent, **says)

    def _order_sent(self, told: Told) -> Iterator[str]:
        self._sent.add(told.object_id)
        order = self.world.orders.get(told.object_id)
        sent = self.world.deliveries.get((told.object_id, told.after.get("revision", 0)))
        if order is None or not order.is_sent:
            yield f"order {told.object_id} was sent (row {told.seq}) but does not say so"
        if sent is None or sent.state != OutboxState.DELIVERED:
            yield f"order {told.object_id} was sent without a delivered outbox row"

    def _goods_received(self, told: Told) -> Iterator[str]:
        yield from self._bookings.strays(told)
        note = f"{told.object_id}:{told.after.get('delivery_note', '')}"
        self._received.add(note)
        stands, says = self.world.receipts.get(note, {}), told.after.get("units", {})
        if dict(stands) != says:
            yield f"receipt {note}: units are {stands!r}, row {told.seq} of the trail says {says!r}"

    def _file_loaded(self, told: Told) -> Iterator[str]:
        number = told.after.get("load", 0)
        self._loads.add(number)
        row = self.world.loads.get(number)
        if row is None:
            yield f"load {number} of row {told.seq} does not exist"
            return
        names = ("kind", "content_hash", "rows_good", "rows_bad")
        says = {name: told.after.get(name) for name in names}
        yield from _differ(told, f"load {number}", row, state=LoadState.PUBLISHED.value, **says)

    def _policy_changed(self, told: Told) -> Iterator[str]:
        version = told.after.get("version", 0)
        self._policies.add(version)
        row = self.world.policies.get(version)
        if row is None:
            yield f"policy version {version} of row {told.seq} does not exist"
            return
        says = told.after.get("content_hash")
        yield from _differ(told, f"policy version {version}", row, content_hash=says, seal=says)

    def _request(self, number: object) -> ApprovalRow | None:
        return self.world.approvals.get(number) if isinstance(number, str) else None

    def _unproven(self, order: OrderRow, covered: set[tuple[str, str]]) -> Iterator[str]:
        where, left_as = self._left(order)
        delivery = self.world.deliveries.get(where)
        is_delivered = delivery is not None and delivery.state == OutboxState.DELIVERED
        if order.is_sent or order.state == OrderState.APPROVED:
            lacks = {
                "an approval of its content": (order.number, left_as) in covered,
                "the trail telling of its approval": where in self._approved,
                "a delivered outbox row": is_delivered or not order.is_sent,
                "the trail telling that it was sent": order.number in self._sent
                or not order.is_sent,
            }
            verb = "was sent" if order.is_sent else "is approved"
            for proof, is_there in lacks.items():
                if not is_there:
                    yield f"order {order.number} {verb} without {proof}"
        if is_delivered and not order.is_sent:
            yield f"order {order.number} was delivered but does not say so"
        if order.state != OrderState.DRAFT:
            now = self.world.revisions.get((order.number, order.revision))
            yield from _rewritten(order, now)

    def _unsigned(self, row: ApprovalRow) -> Iterator[str]:
        """Say which names under a request nobody heard of, and which are missing."""
        heard = self._signed.get(row.number, set())
        for name in row.signatures:
            if name.login not in heard:
                who = name.login or name.printed_name
                yield f"approval {row.number} has a signature of {who!r} that the trail denies"
        if row.state != ApprovalState.APPROVED:
            return
        if row.number not in self._decided:
            yield f"approval {row.number} is approved but the trail does not tell of it"
        valid = {name.login for name in row.signatures if name.fingerprint == row.fingerprint}
        if len(valid) < row.required_signatures:
            yield (
                f"approval {row.number} is approved with {len(valid)} of {row.required_signatures} "
                "signatures"
            )
        if row.needs_reauthentication and not all(n.is_reauthenticated for n in row.signatures):
            yield f"approval {row.number} was signed without a password where one is demanded"

    def _untold(self) -> Iterator[str]:
        """Say what came in that the trail never heard of, since it first hears of such things."""
        for note in self.world.receipts.keys() - self._received:
            order = self.world.orders.get(note.partition(":")[0])
            if order is not None and not order.is_imported:
                yield f"receipt {note} is booked but the trail does not tell of it"
        first_load = min(self._loads, default=None)
        for row in self.world.loads.values():
            is_told = row.id in self._loads or row.state != LoadState.PUBLISHED
            if not is_told and first_load is not None and row.id > first_load:
                yield f"load {row.id} is published but the trail does not tell of it"
        first_version = min(self._policies, default=None)
        for version in self.world.policies.keys() - self._policies:
            if first_version is not None and version > first_version:
                yield f"policy version {version} is in force but the trail does not tell of it"


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
    try:
        lines = [(row["sku"], row["units"], row["unit_price_minor"]) for row in content["lines"]]
        supplier = content["supplier"]["code"]
    except (KeyError, TypeError):
        yield f"{name}: revision {order.revision} is not an order"
        return
    pairs = {
        "number": (order.number, content.get("number")),
        "revision": (order.revision, content.get("revision")),
        "ship_to": (order.ship_to, content.get("ship_to")),
        "currency": (order.currency, content.get("currency")),
        "total_minor": (order.total_minor, content.get("total_minor")),
        "need_by": (order.need_by and order.need_by.isoformat(), content.get("need_by")),
        "supplier": (order.supplier, supplier),
        "lines": (list(order.lines), lines),
    }
    for what, (stands, said) in pairs.items():
        if stands != said:
            yield f"{name}: {what} is {stands!r}, its revision says {said!r}"


def _seen(told: Told, *more: str) -> dict[str, Any]:
    after, names = told.after, ("revision", "fingerprint", "total_minor", *more)
    return {name: after[name] for name in names if name in after}


def _differ(told: Told, name: str, row: object, **says: Any) -> Iterator[str]:
    for what, value in says.items():
        stands = getattr(row, what)
        if stands != value:
            yield (
                f"{name}: {what.replace('seal', 'content')} is {stands!r}, row {told.seq} of the "
                f"trail says {value!r}"
            )
