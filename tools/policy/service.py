"""The policy in force, and its versions."""

from sqlmodel import Session

from tools.policy.core import Policy


def current(session: Session) -> Policy:  # noqa: ARG001
    """Return the policy in force, as this transaction sees it."""
    return Policy()
