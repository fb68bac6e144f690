"""One turn of a conversation: a message or a decision comes in, events and a reply go out."""

import logging
import threading
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langsmith import tracing_context
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from agent import records
from agent.chat_models import warm_up
from agent.graph import RECURSION_LIMIT, build_graph
from agent.heartbeat import Heartbeat, TurnStopped, Watch
from agent.journal import Listener, RunJournal, pieces
from agent.memory import open_memory
from agent.state import State, Turn, TurnContext
from agent.storable import clean
from agent.toolbox import all_tools, tools_for
from db.models.conversation import Message, RunEvent, Thread
from db.models.identity import User
from db.models.purchasing import Approval, PurchaseOrder
from db.session import Database
from db.types import Actor, RunState
from tools import tracing
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, NotFound
from tools.retention.service import quiet_threads
from tools.wrapping import Tool, ToolContext

logger = logging.getLogger(__name__)

_POLL_S = 0.05


class Conversations:
    """The agent as doors see it: threads, messages in, runs, events out.

    Args:
        database: Where everything is kept except the model's memory.
        chat_model: Any chat model that can call tools.
        clock: Tells the time.
        company: The rules of the house.
        checkpoints: File of the model's memory, or address of the PostgreSQL database that holds
            it; None keeps it in this process.
        core_tools_only: Offer the dozen tools that small models can handle.
        tools: The tools; None takes those of all areas.
        lease: How long a silent worker keeps a thread.
        wait_s: How long a run waits while another one works on its thread.
        prompt_budget: Size of a prompt in estimated tokens.
    """

    def __init__(
        self,
        database: Database,
        *,
        chat_model: BaseChatModel,
        clock: Clock,
        company: Company,
        checkpoints: Path | str | None = None,
        core_tools_only: bool = False,
        tools: tuple[Tool, ...] | None = None,
        lease: timedelta = timedelta(seconds=60),
        wait_s: float = 30.0,
        prompt_budget: int = 12_000,
    ) -> None:
        self._database, self._model = database, chat_model
        self._clock, self._company = clock, company
        self._tools = all_tools() if tools is None else tools
        self._core_only, self._prompt_budget = core_tools_only, prompt_budget
        self._lease, self._wait_s = lease, wait_s
        self._memory = open_memory(checkpoints)
        self._graph = build_graph(self._memory)
        self._warming = threading.Lock()
        self._heart = Heartbeat(database, clock, lease)

    def create_thread(self, actor: Actor, title: str = "", *, within: Session | None = None) -> str:
        """Open a conversation, in a transaction of the caller's if given; return its id."""
        thread = Thread(
            id=uuid4().hex[:12], owner_id=actor.user_id, title=clean(title)[:200],
            created_at=self._clock.now(),
        )  # fmt: skip
        with self._database.write() if within is None else nullcontext(within) as session:
            session.add(thread)
        return thread.id

    def post(
        self, actor: Actor, thread_id: str, text: str, *, client_key: str | None = None
    ) -> int:
        """Store a message and a run that will answer it; return the run's id.

        A message that comes again under the same ``client_key`` returns the run it got before.

        Raises:
            NotFound: The person has no such thread.
            InvalidInput: The message is empty or too long.
        """
        return self._queue_text(actor, thread_id, text, client_key)[0]

    def say(
        self,
        actor: Actor,
        thread_id: str,
        text: str,
        *,
        client_key: str | None = None,
        on_event: Listener | None = None,
    ) -> int:
        """``post`` and ``execute`` in one go, for a door that answers in its own process.

        The message and the start of the run are stored in one transaction: one wait for the disk
        less than with a worker. Return the run's id.

        Raises:
            NotFound: The person has no such thread.
            InvalidInput: The message is empty or too long.
            Conflict: Another run kept the thread busy for too long; this one stays queued.
        """
        run_id, claimed = self._queue_text(actor, thread_id, text, client_key, holder=uuid4().hex)
        if claimed is None:
            self.execute(run_id, on_event=on_event)
        else:
            self._run(claimed, on_event)
        return run_id

    def post_decision(self, approval_number: str) -> int | None:
        """Queue a run that tells the order's thread what a person decided; None without a thread.

        Calling it again tells the thread again only when the order has moved on since.

        Raises:
            NotFound: There is no such approval.
        """
        with self._database.read() as session:
            approval = session.exec(
                select(Approval).where(Approval.number == approval_number)
            ).first()
            if approval is None:
                raise NotFound(f"there is no approval {approval_number!r}")
            order = session.get_one(PurchaseOrder, approval.order_id)
            thread = session.get(Thread, approval.thread_id or order.thread_id or "")
            if thread is None:
                return None
            who = session.get(User, approval.decided_by_id) if approval.decided_by_id else None
            session.expunge_all()
        done = f"{approval.decision or approval.state} by {who.name if who else 'nobody'}"
        message = {
            "thread_id": thread.id,
            "role": "notice",
            "text": f"{order.number} ({approval_number}): {done}",
            "client_key": f"{approval_number}:v{approval.version}:{order.state}",
        }
        return self._queue(message, thread.owner_id, {"decision": approval_number})[0]

    def execute(self, run_id: int, *, on_event: Listener | None = None) -> None:
        """Answer a queued run; does nothing when it is not queued any more.

        Raises:
            NotFound: There is no such run.
            Conflict: Another run kept the thread busy for too long, and this one stays queued; or
                it was cancelled while it worked.
        """
        claimed = self._claim(run_id)
        if claimed is not None:
            self._run(claimed, on_event)

    def _run(self, claimed: records.Claim, on_event: Listener | None) -> None:
        bound = tracing.bound(thread_id=claimed.thread_id, run_id=claimed.run_id)
        with bound, tracing.span("turn", "") as outcome:
            outcome.result = self._run_bound(claimed, on_event).value

    def _run_bound(self, claimed: records.Claim, on_event: Listener | None) -> RunState:
        journal = self._journal(claimed, on_event)
        with self._heart.keep(claimed):
            try:
                reply, state = self._answer(claimed, journal), RunState.COMPLETED
            except TurnStopped:
                reply, state = records.INTERRUPTED, RunState.CANCELLED
            except Exception:
                incident = uuid4().hex[:8]
                logger.exception("turn failed", extra={"run": claimed.run_id, "incident": incident})
                reply, state = _apology(incident), RunState.FAILED
            except BaseException:
                self._finish(claimed, journal, records.INTERRUPTED, RunState.CANCELLED)
                raise
            try:
                is_ours = self._finish(claimed, journal, reply, state)
            except Conflict:
                raise
            except Exception:  # something of this turn cannot be stored: close it without that
                incident = uuid4().hex[:8]
                logger.exception("turn lost", extra={"run": claimed.run_id, "incident": incident})
                bare = self._journal(claimed, on_event)
                is_ours = self._finish(claimed, bare, _apology(incident), RunState.FAILED)
        if not is_ours:
            raise Conflict(f"run {claimed.run_id} was cancelled; its answer is dropped")
        return state

    def _journal(self, claimed: records.Claim, on_event: Listener | None) -> RunJournal:
        return RunJournal(
            run_id=claimed.run_id,
            thread_id=claimed.thread_id,
            clock=self._clock,
            write=self._database.write,
            first_result_id=claimed.first_result_id,
            listener=on_event,
        )

    def events(self, run_id: int, *, after: int = 0) -> list[RunEvent]:
        """Return the events of a run behind event ``after``, oldest first."""
        with self._database.read() as session:
            rows = select(RunEvent).where(RunEvent.run_id == run_id, col(RunEvent.id) > after)
            return records.detached(session, rows.order_by(col(RunEvent.id)))

    def messages(self, actor: Actor, thread_id: str) -> list[Message]:
        """Return what was said in a thread of this person, oldest first.

        Raises:
            NotFound: The person has no such thread.
        """
        with self._database.read() as session:
            records.check_owner(session, actor, thread_id)
            rows = select(Message).where(Message.thread_id == thread_id)
            return records.detached(session, rows.order_by(col(Message.id)))

    def recover(self) -> int:
        """Queue runs again whose worker died, or give them up; return how many there were."""
        with self._database.write() as session:
            return records.recover(session, self._clock.now())

    def forget(self, *, since: datetime) -> int:
        """Forget what was said in threads in which nobody wrote since; return how many."""
        remembered = self._memory.threads()
        with self._database.read() as session:
            quiet = quiet_threads(session, remembered, since=since)
        self._memory.forget(quiet)
        return len(quiet)

    def warm(self) -> None:
        """Prepare the model before the first turn; one that comes meanwhile waits for it."""
        with self._warming, tracing_context(enabled=False):
            warm_up(self._model)

    def close(self) -> None:
        """Stop the heartbeat and close the memory file."""
        self._heart.stop()
        self._memory.close()

    def _queue_text(
        self,
        actor: Actor,
        thread_id: str,
        text: str,
        client_key: str | None,
        *,
        holder: str | None = None,
    ) -> tuple[int, records.Claim | None]:
        text = records.checked_text(text)
        key = records.message_key(client_key)
        message = {"thread_id": thread_id, "role": "user", "text": text, "client_key": key}
        work = records.work_of(actor, text)
        return self._queue(message, actor.user_id, work, owner=actor, holder=holder)

    def _queue(
        self,
        message: dict[str, Any],
        actor_id: int,
        work: dict[str, Any],
        *,
        owner: Actor | None = None,
        holder: str | None = None,
    ) -> tuple[int, records.Claim | None]:
        """Store a message and its run, or find the run that its key got before.

        With a ``holder`` the new run is claimed in the same transaction if the thread is free.
        """
        where = (message["thread_id"], message["client_key"])
        message |= {"author_id": actor_id, "created_at": self._clock.now()}
        try:
            with self._database.write() as session:
                if owner is not None:
                    records.check_owner(session, owner, message["thread_id"])
                before = records.inbound(session, *where)
                if before is not None:
                    return before, None
                run_id = records.queue(session, message, actor_id=actor_id, work=work)
                return run_id, self._claimed_if_free(session, run_id, holder)
        except IntegrityError:  # the same message came in twice at the same time
            with self._database.read() as session:
                before = records.inbound(session, *where)
                if before is None:
                    raise
                return before, None

    def _claimed_if_free(
        self, session: Session, run_id: int, holder: str | None
    ) -> records.Claim | None:
        if holder is None:
            return None
        try:
            return records.claim(
                session, run_id, holder=holder, now=self._clock.now(), lease=self._lease
            )
        except Conflict:
            return None

    def _claim(self, run_id: int) -> records.Claim | None:
        holder = uuid4().hex
        for _ in range(int(self._wait_s / _POLL_S)):
            try:
                return self._claim_now(run_id, holder)
            except Conflict:
                threading.Event().wait(_POLL_S)
        return self._claim_now(run_id, holder)

    def _claim_now(self, run_id: int, holder: str) -> records.Claim | None:
        with self._database.write() as session:
            now = self._clock.now()
            return records.claim(session, run_id, holder=holder, now=now, lease=self._lease)

    def _answer(self, claimed: records.Claim, journal: RunJournal) -> str:
        """Run the graph and return what it said last.

        Raises:
            TurnStopped: Somebody cancelled the run, or another worker has the thread.
        """
        watch = Watch(self._database, claimed)
        asking = ToolContext(
            read=self._database.read,
            write=self._database.write,
            actor=claimed.actor,
            clock=self._clock,
            company=self._company,
            thread_id=claimed.thread_id,
            turn_id=claimed.turn,
        )
        context = TurnContext(
            asking=asking,
            model=self._model,
            toolbox=tools_for(claimed.actor, self._core_only, tools=self._tools),
            journal=journal,
            stop_if_unwanted=watch.stop_if_unwanted,
            prompt_budget=self._prompt_budget,
            brief=self._core_only,
        )
        said = [] if claimed.decision else [HumanMessage(claimed.text, id=claimed.turn)]
        turn = Turn(id=claimed.turn, decision=claimed.decision)
        state = State(messages=list(said), turn=turn)
        config = RunnableConfig(
            configurable={"thread_id": claimed.thread_id, "may_save": watch.is_wanted},
            recursion_limit=RECURSION_LIMIT,
        )
        end: dict[str, Any] = {}
        with self._warming:  # else both would do the same work, on the same processors
            pass
        with tracing_context(enabled=False):
            for end in self._graph.stream(  # noqa: B007 (the last one is what counts)
                state, config, context=context, stream_mode="values", durability="exit"
            ):
                pass
        return str(end["messages"][-1].text)

    def _finish(
        self, claimed: records.Claim, journal: RunJournal, reply: str, state: RunState
    ) -> bool:
        """Close the run with these words; False when it was cancelled, which drops them."""
        said: list[tuple[str, dict[str, Any]]] = [
            ("message.delta", {"text": piece}) for piece in pieces(reply)
        ]
        said.append(("message.completed", {"text": reply}))
        is_done = state == RunState.COMPLETED
        said.append(("run.completed", {}) if is_done else ("run.failed", {"error": reply}))
        with self._database.write() as session:
            is_ours = records.finish(
                session, claimed, reply=reply, state=state, now=self._clock.now()
            )
            said_last = journal.flush(session, said) if is_ours else []
        journal.tell(said_last)
        return is_ours


def _apology(incident: str) -> str:
    return (
        f"Something failed on our side (incident {incident}). Nothing was sent; a draft that was "
        "made is in the order list. Please ask again, and give the incident number if it happens "
        "once more."
    )
