"""The approval policy, version by version."""

from datetime import datetime
from typing import Any

from sqlalchemy import Text
from sqlmodel import Column, Field, SQLModel

from db.columns import BigKey, document, moment, ref


class PolicyVersion(SQLModel, table=True):
    """One version of the policy; the highest is in force. Never changed, only followed."""

    __tablename__ = "policy_version"
    version: int = Field(sa_column=Column(BigKey, primary_key=True, autoincrement=False))
    text: str = Field(sa_column=Column(Text, nullable=False))  # the YAML as a person wrote it
    content: dict[str, Any] = document()  # what it says, whole
    content_hash: str = Field(max_length=64)
    reason: str = Field(default="", max_length=500)
    created_by_id: int | None = ref("app_user.id", nullable=True)
    created_at: datetime = moment()
