"""Conversations: threads, messages and the runs that answer them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from agent.records import LONGEST_TEXT, checked_text
from api import events, idempotency
from api.dependencies import ActorDep, BackgroundDep, MeterDep, SystemDep, TalkerDep
from api.routes.examples import answers
from api.routes.once import answered_once
from db.models.conversation import Run
from tools import tracing
from tools.errors import InvalidInput

router = APIRouter(tags=["conversations"])

IdempotencyKey = Annotated[
    str | None,
    Header(description="Repeat a request with the same key and it takes effect once."),
]
_STREAM: dict[str, Any] = {
    "schema": {"type": "string"},
    "example": 'event: message.completed\ndata: {"text": "Order 1,920 each."}\nid: 12\n\n',
}


class NewThread(BaseModel):
    """A conversation to open."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"title": "Monday orders"}]}
    )
    title: str = Field(default="", max_length=200, pattern=r"^[^\x00]*$")


class ThreadCreated(BaseModel):
    """The conversation's id."""

    thread_id: str


class NewMessage(BaseModel):
    """What the planner says."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"text": "How many WIDGET-A should I order?"}]},
    )
    text: str = Field(min_length=1, max_length=LONGEST_TEXT, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")


class RunAccepted(BaseModel):
    """The run that will answer."""

    run_id: int
    events: str = Field(description="Where the run's events are.")


class MessageShown(BaseModel):
    """One line of a conversation."""

    id: int
    role: Literal["user", "assistant", "notice"]
    text: str
    run_id: int | None
    created_at: datetime


class Messages(BaseModel):
    """A conversation, oldest line first."""

    messages: list[MessageShown]


@router.post(
    "/threads",
    status_code=201,
    response_model=ThreadCreated,
    responses=answers({"thread_id": "t-7f3a"}, status=201),
)
def create_thread(
    request: Request,
    system: SystemDep,
    actor: TalkerDep,
    body: NewThread,
    idempotency_key: IdempotencyKey = None,
) -> ThreadCreated | Response:
    """Open a conversation; with an Idempotency-Key a repeat opens no second one."""
    if idempotency_key is None:
        return ThreadCreated(thread_id=system.conversations.create_thread(actor, body.title))

    def effect(session: Session) -> dict[str, str]:
        opened = system.conversations.create_thread(actor, body.title, within=session)
        return {"thread_id": opened}

    return answered_once(
        request, system, actor, key=idempotency_key, body=body, effect=effect, status=201
    )


@router.get(
    "/threads/{thread_id}/messages",
    responses=answers(
        {
            "messages": [
                {
                    "id": 1, "role": "user", "text": "How many WIDGET-A should I order?",
                    "run_id": 1, "created_at": "2026-03-02T09:00:00Z",
                }
            ]
        },
        codes=("not_found",),
    ),
)  # fmt: skip
def list_messages(system: SystemDep, actor: ActorDep, thread_id: str) -> Messages:
    """Read a conversation."""
    shown = [
        MessageShown.model_validate(message, from_attributes=True)
        for message in system.conversations.messages(actor, thread_id)
    ]
    return Messages(messages=shown)


@router.post(
    "/threads/{thread_id}/messages",
    status_code=202,
    response_model=RunAccepted,
    responses={
        **answers({"run_id": 1, "events": "/v1/runs/1/events"}, status=202, codes=("not_found",)),
        200: {
            "description": "The run's events, when the request accepts text/event-stream",
            "content": {"text/event-stream": _STREAM},
        },
    },
)
def post_message(
    system: SystemDep,
    actor: TalkerDep,
    background: BackgroundDep,
    meter: MeterDep,
    thread_id: str,
    body: NewMessage,
    accept: Annotated[str, Header()] = "application/json",
    idempotency_key: IdempotencyKey = None,
) -> RunAccepted | Response:
    """Say something; a run answers it. The message is stored before this returns.

    With ``Accept: text/event-stream`` the answer is the stream of the run's events.
    """
    meter.message(str(actor.user_id), body.text)
    key = None if idempotency_key is None else idempotency.parse_key(idempotency_key)
    run_id = system.conversations.post(actor, thread_id, body.text, client_key=key)
    if key is not None:
        with system.database.read() as session:
            _refuse_another_text(session, run_id, body.text)
    tracing.hand_over(run_id)
    background.wake()
    if "text/event-stream" in accept:
        return EventSourceResponse(
            events.tail(system.database, run_id), headers=_run_headers(run_id)
        )
    return RunAccepted(run_id=run_id, events=f"/v1/runs/{run_id}/events")


@router.get(
    "/runs/{run_id}/events",
    response_class=StreamingResponse,
    responses={
        **answers({}, codes=("not_found",)),
        200: {"description": "The run's events", "content": {"text/event-stream": _STREAM}},
    },
)
def stream_run(
    system: SystemDep,
    actor: ActorDep,
    run_id: int,
    last_event_id: Annotated[
        int, Header(ge=0, lt=2**63, description="Go on after this event.")
    ] = 0,
) -> Response:
    """Follow a run; the stream ends with ``run.completed`` or ``run.failed``."""
    with system.database.read() as session:
        events.own_run(session, actor, run_id)
    return EventSourceResponse(
        events.tail(system.database, run_id, after=last_event_id), headers=_run_headers(run_id)
    )


@router.post(
    "/runs/{run_id}/cancel",
    responses=answers({"run_id": 1, "state": "cancelled"}, codes=("not_found", "conflict")),
)
def cancel_run(system: SystemDep, actor: TalkerDep, run_id: int) -> dict[str, Any]:
    """Stop a run. What it drafted stays; a run that ended cannot be stopped."""
    with system.database.write() as session:
        run = events.own_run(session, actor, run_id)
        events.cancel(session, run, now=system.clock.now())
    return {"run_id": run_id, "state": "cancelled"}


def _run_headers(run_id: int) -> dict[str, str]:
    return {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", "X-Run-ID": str(run_id)}


def _refuse_another_text(session: Session, run_id: int, text: str) -> None:
    if session.get_one(Run, run_id).input.get("text") != checked_text(text):
        raise InvalidInput(
            "this Idempotency-Key was used for another message",
            next_step="Use a fresh key for each message.",
        )
