"""Messages of suppliers, carriers and warehouses: signed, kept, then answered."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request
from fastapi.security import APIKeyHeader
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from api.dependencies import BackgroundDep, SystemDep
from api.routes.examples import answers, problem_answer
from tools.inbound import service as inbound
from tools.inbound.core.messages import MOST_BYTES
from tools.inbound.core.sources import authentic
from tools.webhooks.core import SIGNATURE_HEADER, TIMESTAMP_HEADER

router = APIRouter(tags=["inbound"])
_SCHEMA = "#/components/schemas/InboundMessage"
_signature = APIKeyHeader(
    name=SIGNATURE_HEADER, auto_error=False, scheme_name="Signature",
    description="`v1=` and the HMAC-SHA256 of `timestamp.body` in hexadecimal, with the sender's "
    "secret (docs/inbound.md).",
)  # fmt: skip


class MessageKept(BaseModel):
    """The message is ours now; the same one again gets the same answer."""

    source: str
    id: str
    kind: str


async def _raw(request: Request) -> bytes:
    """Return the body byte by byte: the signature is over exactly this."""
    body = await request.body()
    if len(body) > MOST_BYTES:
        raise HTTPException(413, f"a message is at most {MOST_BYTES} bytes")
    return body


@router.post(
    "/inbound/{source}",
    status_code=202,
    response_model=MessageKept,
    responses=answers(
        {"source": "acme", "id": "ack-17", "kind": "acknowledgement"}, status=202,
        codes=("conflict", "forbidden"),
    )
    | {413: problem_answer("invalid_input", 413)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _SCHEMA}}},
        }
    },
)  # fmt: skip
def take_message(
    system: SystemDep,
    background: BackgroundDep,
    source: Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")],
    body: Annotated[bytes, Depends(_raw)],
    signed: Annotated[str | None, Depends(_signature)],
    timestamp: Annotated[
        str, Header(alias=TIMESTAMP_HEADER, description="Seconds since 1970, UTC.")
    ] = "",
) -> dict[str, Any]:
    """Keep a signed message; what it says is booked right after, once."""
    sender = authentic(
        background.sources, source, body=body, timestamp=timestamp, signed=signed or "",
        now=system.world_clock.now(),
    )  # fmt: skip
    with system.database.write() as session:
        kept = inbound.keep(session, sender, body, clock=system.clock)
    background.wake()
    return {"source": kept.source, "id": kept.event_id, "kind": kept.kind}
