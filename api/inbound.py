"""Messages from outside, one after another: a claim, then its effect, each a transaction."""

import logging
import stat

from api.settings import Settings
from db.session import Database
from tools.clock import Clock
from tools.company import Company
from tools.errors import InvalidInput, QuartermasterError
from tools.inbound import service as inbound
from tools.inbound.core.sources import Sources, read_sources

logger = logging.getLogger(__name__)


def load_sources(settings: Settings) -> Sources:
    """Return who may post to us; nobody without a file.

    Raises:
        InvalidInput: The file is not there, cannot be read, or others on this machine may read it.
    """
    path = settings.inbound_file
    if path is None:
        return {}
    try:
        is_open = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InvalidInput(f"the file of senders {str(path)!r} cannot be read") from None
    if is_open:
        raise InvalidInput(
            f"others may read the secrets in {str(path)!r}", next_step=f"chmod 600 {path}"
        )
    return read_sources(text)


def apply_due(
    database: Database, sources: Sources, *, clock: Clock, company: Company, limit: int = 50
) -> int:
    """Apply the messages that are due, oldest first; returns how many were tried."""
    for tried in range(limit):
        with database.write() as session:
            claim = inbound.claim_due(session, clock=clock)
        if claim is None:
            return tried
        told = {"source": claim.source, "message_id": claim.event_id, "attempt": claim.attempt}
        try:
            with database.write() as session:
                inbound.apply_claimed(session, claim, sources, clock=clock, company=company)
        except QuartermasterError as error:
            with database.write() as session:
                state = inbound.record_failed(session, claim, error, clock=clock)
            logger.warning("message not applied", extra={**told, "state": state.value})
        else:
            logger.info("message applied", extra=told)
    return limit
