"""The database's own clock: one clock for every process that shares the database."""

from datetime import UTC, datetime

from sqlalchemy import text
from sqlmodel import Session


def database_now(session: Session) -> datetime:
    """Return what the database's clock shows now, UTC.

    On PostgreSQL it is the server's clock, not the time at which the transaction began.
    """
    if session.get_bind().dialect.name == "postgresql":
        now: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
        return now.astimezone(UTC)
    told = session.execute(text("SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')")).scalar_one()
    return datetime.fromisoformat(told)
