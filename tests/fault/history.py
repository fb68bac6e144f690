"""What was said to the house and what it answered, and whether its books agree with that.

Every call and every answer is a line of a JSONL file. ``breaks`` reads the file and the database
and names every promise that does not hold; an empty list means that all of them do.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from db.models.audit import AuditEvent
from db.models.purchasing import Approval, Outbox, PurchaseOrder, PurchaseOrderRevision
from db.types import ApprovalState, OrderState, OutboxState
from tests.fault.house import Asked, House, decide_body
from tests.fault.process import Caller, Reply
from tools.audit.service import verify
from tools.purchasing.core.states import LEGAL

_DECIDED = ("approval.approve", "approval.reject", "approval.edit")
_WAS_APPROVED = frozenset(OrderState) - {
    OrderState.DRAFT, OrderState.PENDING_APPROVAL,
}  # fmt: skip


class History:
    """A JSONL file of calls and answers; threads may write at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")
        self._calls = 0

    def note(self, **said: Any) -> None:
        """Write one line."""
        with self._lock:
            self._file.write(json.dumps({"at": time.monotonic(), **said}, default=str) + "\n")
            self._file.flush()

    def call(
        self,
        caller: Caller,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply | None:
        """Send a request; the file knows it before the server does."""
        with self._lock:
            self._calls += 1
            number = self._calls
        self.note(kind="call", id=number, method=method, path=path, body=body)
        started_s = time.monotonic()
        reply = caller.call(method, path, body, headers)
        taken_s = round(time.monotonic() - started_s, 4)
        if reply is None:
            self.note(kind="lost", id=number, seconds=taken_s)
        else:
            self.note(
                kind="answer", id=number, seconds=taken_s, status=reply.status, body=reply.body
            )
        return reply

    def decide(
        self, caller: Caller, asked: Asked, decision: str = "approve", *, key: str = "", **more: Any
    ) -> Reply | None:
        """Decide about a request."""
        headers = {"Idempotency-Key": key or f"{asked.number}-{decision}"}
        return self.call(
            caller, "POST", asked.decisions, decide_body(asked, decision, **more), headers
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def lines(self) -> Iterator[dict[str, Any]]:
        """Read what was written so far."""
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def acknowledged(self, decision: str) -> set[str]:
        """Return the requests about which a decision was answered with 200."""
        calls: dict[int, str] = {}
        done = set()
        for line in self.lines():
            if line["kind"] == "call" and line["path"].endswith("/decisions"):
                if line["body"]["decision"] == decision:
                    calls[line["id"]] = line["path"].split("/")[3]
            elif line["kind"] == "answer" and line["status"] == 200 and line["id"] in calls:
                done.add(calls[line["id"]])
        return done

    def seconds(self) -> list[float]:
        """Return how long each answered call took."""
        return [line["seconds"] for line in self.lines() if line["kind"] == "answer"]

    def statuses(self) -> Counter[int]:
        """Count the answers by status; 0 counts the calls that got none."""
        return Counter(
            line.get("status", 0) for line in self.lines() if line["kind"] in ("answer", "lost")
        )


def breaks(
    house: House, history: History | None = None, accepted: Iterable[Mapping[str, Any]] = ()
) -> list[str]:
    """Return every promise that does not hold, as sentences.

    Args:
        house: Whose database is read.
        history: What was said to it.
        accepted: Orders that a supplier's server accepted: ``{"key", "fingerprint"}``.
    """
    with house.system.database.read() as session:
        if not house.is_sqlite:  # all tables as of one moment, while a server goes on
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        books = _Books(session)
        found = [*books.counts(), *books.paths(), *books.decisions(), *books.contents()]
        if history is not None:
            found += books.acknowledged(history)
        report = verify(session)
        if not report.ok:
            found.append(f"audit: row {report.first_bad_seq}: {report.problem}")
        found += books.accepted(list(accepted))
        found += _files(house, books)
    return found


class _Books:
    """The rows that tell of orders."""

    def __init__(self, session: Session) -> None:
        self.orders = {row.id: row for row in session.exec(select(PurchaseOrder)).all()}
        self.approvals = {row.number: row for row in session.exec(select(Approval)).all()}
        self.outbox = list(session.exec(select(Outbox)).all())
        self.revisions = {
            (row.order_id, row.revision): row
            for row in session.exec(select(PurchaseOrderRevision)).all()
        }
        self.trail = list(session.exec(select(AuditEvent).order_by(col(AuditEvent.seq))).all())

    def counts(self) -> Iterator[str]:
        """One approval, one outbox row, one audit row, for every approved revision."""
        used = {row.id for row in self.approvals.values() if row.consumed_at is not None}
        queued = Counter(row.approval_id for row in self.outbox)
        told = Counter(
            row.after.get("approval") for row in self.trail if row.action == "order.approved"
        )
        if used != set(queued):
            yield f"approvals used {sorted(used)} are not the outbox's {sorted(queued)}"
        yield from (
            f"approval {key} is {n} times in the outbox" for key, n in queued.items() if n > 1
        )
        yield from (f"{key} is told approved {n} times" for key, n in told.items() if n > 1)
        if len(used) != sum(told.values()):
            yield f"{len(used)} approvals were used, {sum(told.values())} are told in the trail"
        keys = Counter(row.key for row in self.outbox)
        yield from (f"key {key} is {n} times in the outbox" for key, n in keys.items() if n > 1)
        seqs = [row.seq for row in self.trail]
        if seqs != list(range(1, len(seqs) + 1)):
            yield "the trail's numbers have gaps"
        sent = {row.order_id for row in self.outbox if row.state is OutboxState.DELIVERED}
        for order in self.orders.values():
            if order.sent_at is not None and not order.is_imported and order.id not in sent:
                yield f"{order.number} is sent, its delivery is not"

    def paths(self) -> Iterator[str]:
        """Every order went only along the state machine, from where it was."""
        now: dict[str, str] = {}
        for row in self.trail:
            to, was = row.after.get("state"), row.before.get("state")
            if not row.object_id.startswith("PO-") or to is None:
                continue
            if to not in set(OrderState) or (was is not None and was not in set(OrderState)):
                continue
            last = now.get(row.object_id)
            if last is not None and was is not None and was != last:
                yield f"{row.object_id} was {last}, the trail goes on from {was} ({row.action})"
            start = was or last
            if start is not None and start != to and OrderState(to) not in LEGAL[OrderState(start)]:
                yield f"{row.object_id} went from {start} to {to} ({row.action})"
            now[row.object_id] = to
        for order in self.orders.values():
            if order.number in now and now[order.number] != order.state.value:
                yield f"{order.number} is {order.state.value}, the trail says {now[order.number]}"

    def decisions(self) -> Iterator[str]:
        """A request is decided once."""
        decided: dict[str, str] = {}
        for row in self.trail:
            if row.action not in _DECIDED:
                continue
            if row.object_id in decided:
                yield f"{row.object_id}: {row.action} after {decided[row.object_id]}"
            decided[row.object_id] = row.action

    def contents(self) -> Iterator[str]:
        """What waits to leave, or left, is what was approved."""
        by_id = {row.id: row for row in self.approvals.values()}
        for row in self.outbox:
            approval, key = by_id[row.approval_id], (row.order_id, row.revision)
            prints = {
                approval.fingerprint, row.payload["fingerprint"], self.revisions[key].fingerprint,
            }  # fmt: skip
            if len(prints) != 1 or approval.revision != row.revision:
                yield f"delivery {row.key} is not what {approval.number} was given for"
            if (
                approval.state is not ApprovalState.APPROVED
                and row.state is not OutboxState.CANCELLED
            ):
                yield f"{row.key} rests on {approval.number}, which is {approval.state.value}"

    def acknowledged(self, history: History) -> Iterator[str]:
        """What was answered with 200 is in the books."""
        for number in sorted(history.acknowledged("approve")):
            approval = self.approvals.get(number)
            if (
                approval is None
                or approval.decision is None
                or approval.decision.value != "approve"
            ):
                yield f"the approval of {number} was acknowledged and is lost"
            elif approval.required_signatures == 1 and approval.consumed_at is None:
                yield f"{number} was acknowledged as approved and is not used"
        for number in sorted(history.acknowledged("reject")):
            approval = self.approvals.get(number)
            if approval is None or approval.state is not ApprovalState.REJECTED:
                yield f"the rejection of {number} was acknowledged and is lost"

    def accepted(self, accepted: list[Mapping[str, Any]]) -> Iterator[str]:
        """A supplier accepted each key once, and only what was approved."""
        keys = Counter(str(order["key"]) for order in accepted)
        yield from (f"the supplier accepted {key} {n} times" for key, n in keys.items() if n > 1)
        known = {row.key: row for row in self.outbox}
        for order in accepted:
            row = known.get(str(order["key"]))
            if row is None:
                yield f"the supplier has {order['key']}, which nobody approved"
            elif order.get("fingerprint", row.payload["fingerprint"]) != row.payload["fingerprint"]:
                yield f"the supplier has something else than {order['key']}"


def _files(house: House, books: _Books) -> Iterator[str]:
    """Every file that left is one approved order, and every sent order of the folder is a file."""
    keys = Counter(
        json.loads(path.read_text())["key"] for path in house.settings.outgoing_dir.glob("*.json")
    )
    known = {row.key for row in books.outbox}
    yield from (f"{key} left {n} times" for key, n in keys.items() if n > 1)
    yield from (f"{key} left and nobody approved it" for key in keys if key not in known)
    for row in books.outbox:
        if row.channel == "file" and row.state is OutboxState.DELIVERED and row.key not in keys:
            yield f"{row.key} is delivered and there is no file"
