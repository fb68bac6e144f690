"""What administrators set: keys, scopes, rates of currencies and ways to suppliers, as values."""

import hashlib
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from db.models.catalog import ExchangeRate, Supplier
from db.models.identity import ApiKey, User, UserScope
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine

Set = dict[tuple[str, str], dict[str, Any]]  # by kind and public name


def sealed_secret(secret_hash: bytes | str) -> str:
    """Return what the trail may say of a key's secret: the hash of its hash."""
    stored = secret_hash.encode() if isinstance(secret_hash, str) else secret_hash
    return hashlib.sha256(stored).hexdigest()


def set_by_administrators(session: Session) -> Set:
    """Return what stands, one query for each kind."""
    found: Set = {}
    keys = select(
        ApiKey.key_id, User.login, ApiKey.secret_hash, ApiKey.scopes, ApiKey.expires_at,
        ApiKey.revoked_at,
    ).join(User, col(User.id) == col(ApiKey.user_id))  # type: ignore[call-overload]  # fmt: skip
    for key_id, login, secret, allowed, until, revoked in session.execute(keys):
        found["key", key_id] = {
            "login": login, "permissions": allowed, "seal": sealed_secret(secret),
            "expires_at": None if until is None else until.isoformat(),
            "is_revoked": revoked is not None,
        }  # fmt: skip
    scopes = select(User.login, UserScope.kind, UserScope.value).join(
        UserScope, col(UserScope.user_id) == col(User.id)
    )
    for login, kind, value in sorted(session.exec(scopes)):
        found.setdefault(("scope of", login), {}).setdefault(str(kind), []).append(value)
    for currency, rate in session.exec(select(ExchangeRate.currency, ExchangeRate.rate_micro)):
        found["exchange rate", currency] = {"rate_micro": rate}
    ways = select(
        Supplier.code, Supplier.delivery_channel, Supplier.delivery_address,
        Supplier.delivery_format,
    )  # fmt: skip
    for code, channel, address, form in session.exec(ways):
        said = {"channel": channel, "address": address, "format": str(form)}
        found["supplier", code] = said
    return found


def line_differences(session: Session) -> list[str]:
    """Return where the lines of an order of ours do not sum to its total; it finds nothing."""
    amount = func.sum(PurchaseOrderLine.amount_minor)
    rows = session.execute(
        select(PurchaseOrder.number, PurchaseOrder.total_minor, amount)
        .join(PurchaseOrderLine, col(PurchaseOrderLine.order_id) == col(PurchaseOrder.id))
        .where(col(PurchaseOrder.is_imported).is_(False))
        .group_by(col(PurchaseOrder.number), col(PurchaseOrder.total_minor))
        .having(amount != PurchaseOrder.total_minor)
    )
    return [
        f"order {number}: its lines sum to {int(lines):,}, its total is {total:,} (minor units)"
        for number, total, lines in rows
    ]
