"""The error tree: every expected failure is one of these, with a sentence a planner can act on.

    QuartermasterError
    ├── InvalidInput 422      value outside the model's domain; the model may correct it and retry
    │   └── Ambiguous 422     a name fits several records; the caller must choose one
    ├── NotEnoughData 422     history too short or too sparse to answer
    ├── NotFound 404          no such SKU, supplier, order, shipment
    ├── Conflict 409          the record's state does not allow this
    │   └── Stale 409         the record changed since the caller read it
    ├── Forbidden 403         the actor's role or limit does not allow this
    │   └── ApprovalRequired 403  no person approved this exact action
    ├── NotAuthenticated 401  nobody, or nobody we know, is asking
    ├── TooManyRequests 429   this person or address asks faster than one may
    └── ExternalError 502     supplier, ERP, Slack or model server failed; the worker may retry

An error carries ``details``: JSON values for machines (candidates of an ambiguous name, the current
version of a stale record). Anything that is not in this tree is a bug and propagates.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class QuartermasterError(Exception):
    """Base of all expected errors."""

    code: ClassVar[str] = "error"
    status_code: ClassVar[int] = 500

    def __init__(
        self, message: str, *, next_step: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.details: dict[str, Any] = dict(details or {})


class InvalidInput(QuartermasterError):
    """A value lies outside the domain; the caller may correct it and retry."""

    code = "invalid_input"
    status_code = 422


class Ambiguous(InvalidInput):
    """A name fits several records; ``details['matches']`` lists them."""

    code = "ambiguous"


class NotEnoughData(QuartermasterError):
    """The history is too short or too sparse to answer."""

    code = "insufficient_data"
    status_code = 422


class NotFound(QuartermasterError):
    """No such record; ``details['matches']`` may list near ones."""

    code = "not_found"
    status_code = 404


class Conflict(QuartermasterError):
    """The record's state does not allow this."""

    code = "conflict"
    status_code = 409


class Stale(Conflict):
    """The record changed since the caller read it; ``details`` holds the current version."""

    code = "stale"


class Forbidden(QuartermasterError):
    """The actor's role or limit does not allow this."""

    code = "forbidden"
    status_code = 403


class ApprovalRequired(Forbidden):
    """No person approved this exact action."""

    code = "approval_required"


class NotAuthenticated(QuartermasterError):
    """Nobody, or nobody we know, is asking."""

    code = "not_authenticated"
    status_code = 401


class TooManyRequests(QuartermasterError):
    """Asked faster than one may; ``details['retry_after_s']`` says how long to wait."""

    code = "too_many_requests"
    status_code = 429


class ExternalError(QuartermasterError):
    """A supplier, an ERP, Slack or a model server failed; the worker may retry."""

    code = "external"
    status_code = 502
