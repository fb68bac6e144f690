"""What the doors do about the audit trail's files: anchors now and then, another key on request."""

import logging
from datetime import timedelta

from api.bootstrap import System
from db.types import Actor
from tools.audit import service as trail
from tools.audit.gateway.anchors import AnchorFile, anchor
from tools.audit.gateway.keys import Keyring
from tools.errors import QuartermasterError

logger = logging.getLogger(__name__)

ANCHOR_EVERY = timedelta(days=1)


def anchor_now(system: System) -> bool:
    """Anchor the trail's end; returns False when nothing is new since the last anchor.

    Raises:
        Conflict: The trail is shorter than its newest anchor.
        ExternalError: The anchor file cannot be written.
    """
    with system.database.read() as session:
        return anchor(session, _file(system), at=system.clock.now())


def anchor_if_due(system: System) -> bool:
    """Anchor the trail's end once a day, or sooner after many new rows.

    Raises:
        Conflict: The trail is shorter than its newest anchor.
        ExternalError: The anchor file cannot be written.
    """
    rows = system.settings.anchor_every_rows
    with system.database.read() as session:
        return anchor(
            session, _file(system), at=system.clock.now(), every_rows=rows, every=ANCHOR_EVERY
        )


def anchor_at_edge(system: System) -> None:
    """Anchor when a server starts or stops; what stands in the way is logged, not raised."""
    try:
        anchor_now(system)
    except QuartermasterError as error:
        logger.error("audit trail not anchored", extra={"reason": error.message})


def rotate_key(system: System, *, by: Actor | None, reason: str) -> tuple[str, str]:
    """Change the key of the trail, step by step so that a crash after any of them harms nothing.

    The new key is on the disk before a row names it, and the old one stays there to verify with.
    Only then the key file changes; a start after a crash in between finishes that.

    Returns:
        The ids of the old and the new key.

    Raises:
        Forbidden: The actor is no administrator.
        InvalidInput: No reason is given.
    """
    keyring = Keyring(system.settings.audit_key_file)
    new = keyring.prepare()
    try:
        with system.database.write() as session:
            old = trail.rotate(session, by=by, new_key_id=new, reason=reason, at=system.clock.now())
    except QuartermasterError:  # refused: nothing was written
        keyring.discard(new)
        raise
    keyring.promote(new)
    return old, new


def _file(system: System) -> AnchorFile:
    return AnchorFile(system.settings.anchor_file)
