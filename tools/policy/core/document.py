"""The policy as people write it: field by field, amounts as decimals in company currency."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from db.types import Role
from tools.catalog.core import sku_key
from tools.money import minor_digits
from tools.policy.core.policy import Policy

UNLIMITED = "unlimited"

Amount = Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,3})?$")]
Limit = Annotated[str, Field(pattern=r"^([0-9]{1,15}(\.[0-9]{1,3})?|unlimited)$")]
Percent = Annotated[str, Field(pattern=r"^[0-9]{1,3}(\.[0-9]{1,2})?$")]
Code = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RoleLimits(_Part):
    """What a role may approve alone; the other roles never approve."""

    planner: Limit
    approver: Limit
    manager: Limit


class ApprovalRules(_Part):
    """Who must approve how much, and for how long they may."""

    role_limits: RoleLimits
    self_approval_limit: Amount
    two_person_above: Amount | None
    expires_after_hours: Annotated[int, Field(ge=1, le=24 * 30)]


class Tolerances(_Part):
    """How far an order may be from what was last seen."""

    price_move_percent: Percent
    last_price_percent: Percent | None
    last_quantity_times: Annotated[int, Field(ge=1, le=1_000)] | None
    forecast_days: Annotated[int, Field(ge=1, le=3_650)] | None


class Caps(_Part):
    """How much may be approved in a rolling window, however it is split into orders."""

    window_hours: Annotated[int, Field(ge=1, le=24 * 30)]
    per_supplier: Amount | None
    per_requester: Amount | None
    orders_per_hour: Annotated[int, Field(ge=1, le=100_000)] | None


class Blocked(_Part):
    """What nobody orders, and from whom."""

    items: Annotated[list[Code], Field(max_length=10_000)]
    suppliers: Annotated[list[Code], Field(max_length=10_000)]


class PolicyDocument(_Part):
    """The whole policy. ``currency`` is filled in when a version is written."""

    format: Literal["quartermaster/policy/v1"]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    dispatch_enabled: bool
    approval: ApprovalRules
    tolerances: Tolerances
    caps: Caps
    blocked: Blocked

    def content(self) -> dict[str, Any]:
        """Return what it says as JSON values."""
        return self.model_dump(mode="json")


def policy_of(document: PolicyDocument, *, version: int, currency: str = "") -> Policy:
    """Return the policy that a document writes down.

    Args:
        document: The document.
        version: Number of the version.
        currency: Company currency, for a document that names none.

    Raises:
        InvalidInput: A blocked item or supplier is not written like a code.
    """
    code = document.currency or currency
    digits = minor_digits(code)
    approval, tolerances, caps = document.approval, document.tolerances, document.caps
    limits = approval.role_limits
    return Policy(
        version=version,
        currency=code,
        dispatch_enabled=document.dispatch_enabled,
        role_limits={
            Role.PLANNER: _limit(limits.planner, digits),
            Role.APPROVER: _limit(limits.approver, digits),
            Role.MANAGER: _limit(limits.manager, digits),
        },
        two_person_above_minor=_minor(approval.two_person_above, digits),
        self_approval_limit_minor=_minor(approval.self_approval_limit, digits) or 0,
        approval_ttl=timedelta(hours=approval.expires_after_hours),
        price_tolerance_bp=_hundredths(tolerances.price_move_percent) or 0,
        last_price_tolerance_bp=_hundredths(tolerances.last_price_percent),
        max_quantity_ratio=tolerances.last_quantity_times,
        max_cover_days=tolerances.forecast_days,
        supplier_cap_minor=_minor(caps.per_supplier, digits),
        requester_cap_minor=_minor(caps.per_requester, digits),
        cap_window=timedelta(hours=caps.window_hours),
        orders_per_hour=caps.orders_per_hour,
        blocked_items=frozenset(map(sku_key, document.blocked.items)),
        blocked_suppliers=frozenset(map(sku_key, document.blocked.suppliers)),
    )


def _limit(text: str, digits: int) -> int | None:
    return None if text == UNLIMITED else _minor(text, digits)


def _minor(text: str | None, digits: int) -> int | None:
    """Return an amount in minor units; what a currency has no coin for is cut off."""
    return None if text is None else int(Decimal(text).scaleb(digits))


def _hundredths(text: str | None) -> int | None:
    return None if text is None else int(Decimal(text).scaleb(2))
