"""Column types and constraints shared by the tables."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, DateTime, ForeignKey, Integer, String
from sqlalchemy import Column as SAColumn
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING

# A BIGINT primary key does not count by itself on SQLite; there an INTEGER is 64 bits wide already.
BigKey = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, stored in UTC; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Convert to UTC on the way in."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a stored time needs a time zone, got {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give an aware UTC time on the way out (SQLite forgets the zone)."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class EnumText(TypeDecorator[StrEnum]):
    """A member of an enum, stored as its text."""

    impl = String(32)
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        """Check and unwrap on the way in."""
        return None if value is None else self.enum(value).value

    def process_result_value(self, value: str | None, _dialect: Dialect) -> StrEnum | None:
        """Give the member on the way out."""
        return None if value is None else self.enum(value)


def key() -> Any:
    """Surrogate primary key."""
    return Field(default=None, sa_column=SAColumn(BigKey, primary_key=True, autoincrement=True))


def ref(target: str, *, nullable: bool = False, index: bool = True) -> Any:
    """Foreign key to ``table.id``."""
    column = SAColumn(BigKey, ForeignKey(target), nullable=nullable, index=index)
    return Field(default=None, sa_column=column) if nullable else Field(sa_column=column)


def whole(default: int | None = None, *, nullable: bool = False) -> Any:
    """64-bit whole number: units, minor units of money, counts."""
    return Field(default=default, sa_column=SAColumn(BigInteger, nullable=nullable))


def moment(*, nullable: bool = False, index: bool = False) -> Any:
    """A UTC time."""
    column = SAColumn(UtcDateTime, nullable=nullable, index=index)
    return Field(default=None, sa_column=column) if nullable else Field(sa_column=column)


def document(default: type[dict[str, Any]] | type[list[Any]] = dict) -> Any:
    """A JSON value."""
    return Field(default_factory=default, sa_column=SAColumn(JSON, nullable=False))


def choice(
    enum: type[StrEnum],
    default: StrEnum | None = None,
    *,
    nullable: bool = False,
    index: bool = False,
) -> Any:
    """An enum stored as its text; pair it with ``one_of``."""
    column: SAColumn[StrEnum] = SAColumn(EnumText(enum), nullable=nullable, index=index)
    return Field(default=default, sa_column=column)


def one_of(column: str, enum: type[StrEnum]) -> CheckConstraint:
    """CHECK that a text column holds a member of the enum."""
    members = ", ".join(f"'{member.value}'" for member in enum)
    return CheckConstraint(f"{column} IN ({members})", name=f"{column}_known")


def at_least(column: str, least: int = 0) -> CheckConstraint:
    """CHECK for a lower bound."""
    name = f"{column}_not_negative" if least == 0 else f"{column}_at_least_{least}"
    return CheckConstraint(f"{column} >= {least}", name=name)


def currency_code(column: str = "currency") -> CheckConstraint:
    """CHECK that a currency is three capital letters long."""
    return CheckConstraint(
        f"length({column}) = 3 AND upper({column}) = {column}", name=f"{column}_iso"
    )
