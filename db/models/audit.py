"""The trail: append-only, chained."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, String
from sqlmodel import Field, SQLModel

from db.columns import BigKey, choice, document, moment, one_of
from db.types import ActorKind


class AuditEvent(SQLModel, table=True):
    """One change: who did what to which object, why, and the MAC that chains it to the last."""

    __tablename__ = "audit_event"
    __table_args__ = (one_of("actor_kind", ActorKind),)
    seq: int = Field(sa_column=Column(BigKey, primary_key=True, autoincrement=False))  # gapless
    at: datetime = moment()
    actor: str = Field(max_length=64, index=True)
    actor_kind: ActorKind = choice(ActorKind)
    action: str = Field(max_length=64)  # order.sent, approval.approved
    object_id: str = Field(max_length=64, index=True)  # PO-2001
    before: dict[str, Any] = document()
    after: dict[str, Any] = document()
    meaning: str = Field(default="", max_length=32)
    reason: str = Field(default="", max_length=500)
    # Ids of request, turn and delivery, for whom, versions of policy and model. A row from before
    # version 0.2 has none, and its MAC does not cover it.
    context: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )
    key_id: str = Field(max_length=16)
    prev_mac: str = Field(sa_column=Column(String(64), nullable=False))
    mac: str = Field(sa_column=Column(String(64), nullable=False, unique=True))
