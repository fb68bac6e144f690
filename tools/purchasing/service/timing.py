"""What time it is for a decision: the same for every process, and never earlier than what was told.

Two processes may have clocks an hour apart. A request must not live longer because the wrong one of
them is asked, so requests and decisions are timed by the database where the clock is the real one.
The demo and the tests bring a clock of their own, and that one counts.
"""

from datetime import datetime

from sqlmodel import Session, col, select

from db.clock import database_now
from db.models.purchasing import Approval
from db.once import once
from tools.clock import Clock, FixedClock, SystemClock

_NEWEST = select(Approval.requested_at).order_by(col(Approval.id).desc()).limit(1)


def steady(session: Session, clock: Clock) -> Clock:
    """Return a clock that stands at the time of this transaction's decision.

    Instead of a machine's clock it shows the database's; any other clock is read once.
    """
    is_real = isinstance(clock, SystemClock)
    return FixedClock(database_now(session) if is_real else clock.now())


def has_run_out(session: Session, expires_at: datetime, clock: Clock) -> bool:
    """Whether a request ran out by the clock, or by the time of the newest request.

    A database's clock that was set back does not make an old request young again. Requests are
    timed by the database, so a process whose own clock runs ahead cannot end those of others.
    """
    if expires_at <= clock.now():
        return True
    newest = once(session, "newest request", lambda: session.exec(_NEWEST).first(), of=())
    return newest is not None and expires_at <= newest
