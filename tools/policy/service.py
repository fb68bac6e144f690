"""The policy in force, its versions, and who may write the next one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Text, cast
from sqlmodel import Session, col, select

from db.models.identity import RoleLimit, User
from db.models.policy import PolicyVersion
from db.once import once
from db.types import Actor, ActorKind, Permission, Role
from tools.audit import service as audit
from tools.audit.core.chain import document_hash
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, Forbidden, InvalidInput, NotFound, Stale
from tools.identity.core import can_approve, effective_limit, is_within, require_key, with_article
from tools.identity.service import actor_by_id
from tools.money import amount_text
from tools.policy.core.document import UNLIMITED, PolicyDocument, policy_of
from tools.policy.core.policy import Policy, Version
from tools.policy.core.reading import read_policy
from tools.policy.core.writing import FieldChange, as_yaml, changes, with_values
from tools.text import plain_text

DEFAULT = Path(__file__).parent / "core" / "default.yaml"
_DISPATCH_STOPPERS = (Role.MANAGER, Role.ADMIN)


_NEWEST = (
    select(
        col(PolicyVersion.version),
        col(PolicyVersion.content_hash),
        cast(col(PolicyVersion.content), Text),
    )
    .order_by(col(PolicyVersion.version).desc())
    .limit(1)
)


def current(session: Session) -> Policy:
    """Return the policy in force, as this transaction sees it.

    Before the first version is written, what the program ships counts, with the limits of the
    roles as an older database has them.
    """
    found = once(
        session, PolicyVersion, lambda: session.execute(_NEWEST).first(), of=(PolicyVersion,)
    )
    return _shipped(session) if found is None else _read(found[0], found[1], found[2])


def role_limits(session: Session) -> Mapping[Role, int | None]:
    """Return the limit of every role that has one, in minor units of company currency."""
    return current(session).role_limits


def approval_limit(session: Session, actor: Actor) -> int | None:
    """Return what the actor may approve alone, in minor units of company currency.

    Role and limit are read from the database, not from the actor: they may have changed since the
    actor signed in.

    Returns:
        The limit; None means without limit, 0 means nothing.
    """
    user = once(
        session,
        (User, actor.user_id),
        lambda: session.get(User, actor.user_id, populate_existing=True),
        of=(User,),
    )
    if user is None or not user.is_active:
        return 0
    return _own_limit(user.role, user.approval_limit_minor, role_limits(session))


def highest_limit(session: Session) -> int | None:
    """Return the widest limit that any active person has; None means without limit."""
    by_role = role_limits(session)
    people = session.exec(
        select(col(User.role), col(User.approval_limit_minor)).where(col(User.is_active).is_(True))
    )
    limits = [_own_limit(role, own, by_role) for role, own in people]
    known = [limit for limit in limits if limit is not None]
    return None if len(known) < len(limits) else max(known, default=0)


def able_to_approve(session: Session, amount_minor: int) -> frozenset[int]:
    """Return the ids of the active people whose limit covers an amount of company currency."""
    by_role = role_limits(session)
    people = session.exec(
        select(col(User.id), col(User.role), col(User.approval_limit_minor)).where(
            col(User.is_active).is_(True)
        )
    )
    return frozenset(
        user_id
        for user_id, role, own in people
        if can_approve(role) and is_within(_own_limit(role, own, by_role), amount_minor)
    )


def _own_limit(role: Role, own: int | None, by_role: Mapping[Role, int | None]) -> int | None:
    return effective_limit(
        role,
        role_limit_minor=by_role.get(role),
        own_limit_minor=own,
        has_role_limit=role in by_role,
    )


def in_force(session: Session, *, clock: Clock, company: Company) -> Policy:
    """Return the policy that a decision is judged by, in a write transaction.

    The first time the first version is written: what the program ships, with the limits of the
    roles as an older database has them.

    Raises:
        Conflict: The policy states its amounts in another currency than the company's.
    """
    audit.lock(session)
    policy = current(session)
    if policy.version == 0:
        text = _first_text(session, company)
        document = read_policy(text, currency=company.currency)
        _write(
            session, 1, text, document, actor=audit.SYSTEM, clock=clock,
            reason="the policy that the program brings", changed=(),
        )  # fmt: skip
        policy = current(session)
    if policy.currency not in ("", company.currency):
        raise Conflict(
            f"the policy states its amounts in {policy.currency}, the company's currency is "
            f"{company.currency}",
            next_step="An admin writes the policy anew: quartermaster policy set FILE.",
            details={"rule": "policy_currency"},
        )
    session.info["policy_version"] = policy.version  # audit rows of this transaction name it
    return policy


def shown(session: Session, *, company: Company, version: int | None = None) -> Version:
    """Return a version of the policy, the one in force by default.

    Raises:
        NotFound: There is no such version.
    """
    newest = select(PolicyVersion).order_by(col(PolicyVersion.version).desc()).limit(1)
    if version is not None:
        newest = newest.where(PolicyVersion.version == version)
    row = session.exec(newest.execution_options(populate_existing=True)).one_or_none()
    if row is not None:
        return _version(session, row)
    if version is not None and version != 0:
        raise NotFound(
            f"there is no version {version!r} of the policy",
            next_step="List them: quartermaster policy history.",
        )
    text = _first_text(session, company)
    content = read_policy(text, currency=company.currency).content()
    return Version(0, text, content, document_hash(content), "", "", None)


def history(session: Session, *, limit: int = 50) -> list[Version]:
    """Return the versions, newest first."""
    rows = session.exec(
        select(PolicyVersion).order_by(col(PolicyVersion.version).desc()).limit(limit)
    )
    return [_version(session, row) for row in rows]


def difference(session: Session, text: str, *, company: Company) -> list[FieldChange]:
    """Return what a policy would change if it were put in force.

    Raises:
        InvalidInput: It is not a policy; the message names line and field.
    """
    content = read_policy(text, currency=company.currency).content()
    return changes(shown(session, company=company).content, content)


def change(
    session: Session,
    text: str,
    *,
    reason: str,
    actor: Actor,
    clock: Clock,
    company: Company,
    expected_version: int | None = None,
) -> Version:
    """Put a policy in force. An admin writes it, and an admin never approves an order.

    Args:
        session: A write transaction.
        text: YAML.
        reason: Why, in the actor's words.
        actor: Who changes it.
        clock: Time.
        company: Whose currency the amounts are in.
        expected_version: The version that the actor read; another one in force refuses the change.

    Raises:
        Forbidden: The actor is no admin.
        InvalidInput: It is not a policy, changes nothing, or no reason is given.
        Stale: Another version is in force than the one that was read.
    """
    audit.lock(session)
    _require(session, actor, (Role.ADMIN,), "changes the policy")
    reason = _reason(reason)
    document = read_policy(text, currency=company.currency)
    if current(session).version == 0:
        in_force(session, clock=clock, company=company)
    stands = shown(session, company=company)
    if expected_version is not None and expected_version != stands.version:
        raise Stale(
            f"version {stands.version} of the policy is in force, you read {expected_version}",
            next_step="Look at it again before you change it.",
            details={"current_version": stands.version},
        )
    changed = changes(stands.content, document.content())
    if not changed:
        raise InvalidInput(
            f"this is what version {stands.version} of the policy says already",
            next_step="Change something first.",
        )
    return _write(
        session, stands.version + 1, text, document, actor=actor, clock=clock, reason=reason,
        changed=changed,
    )  # fmt: skip


def set_dispatch(
    session: Session,
    enabled: bool,
    *,
    reason: str,
    actor: Actor,
    clock: Clock,
    company: Company,
) -> Version:
    """Stop or start the departure of approved orders: a version that changes nothing else.

    A manager or an admin stops; only an admin starts. The program itself may stop too, after a
    restore. Saying what holds already changes nothing.

    Raises:
        Forbidden: The actor may not.
        InvalidInput: No reason is given.
    """
    audit.lock(session)
    may = (Role.ADMIN,) if enabled else _DISPATCH_STOPPERS
    if enabled or actor.kind is not ActorKind.SYSTEM:
        _require(session, actor, may, "starts dispatch" if enabled else "stops dispatch")
    reason = _reason(reason)
    if in_force(session, clock=clock, company=company).dispatch_enabled is enabled:
        return shown(session, company=company)
    stands = shown(session, company=company)
    content = {**stands.content, "dispatch_enabled": enabled}
    document = PolicyDocument.model_validate(content)
    text = with_values(stands.text, {"dispatch_enabled": "true" if enabled else "false"})
    written = read_policy(text, currency=company.currency)
    if written.model_copy(update={"currency": document.currency}) != document:
        text = as_yaml(content)  # whoever wrote it wrote it in a way of their own
    return _write(
        session, stands.version + 1, text, document, actor=actor, clock=clock, reason=reason,
        changed=changes(stands.content, content),
    )  # fmt: skip


def _write(
    session: Session,
    version: int,
    text: str,
    document: PolicyDocument,
    *,
    actor: Actor,
    clock: Clock,
    reason: str,
    changed: Sequence[FieldChange],
) -> Version:
    content = document.content()
    row = PolicyVersion(
        version=version,
        text=text,
        content=content,
        content_hash=document_hash(content),
        reason=reason,
        created_by_id=actor.user_id or None,
        created_at=clock.now(),
    )
    session.add(row)
    session.flush()
    audit.append(
        session,
        at=clock.now(),
        actor=actor,
        action="policy.changed",
        object_id=f"policy-{version}",
        before={"version": version - 1, **{one.field: one.before for one in changed}},
        after={
            "version": version, "content_hash": row.content_hash,
            **{one.field: one.after for one in changed},
        },
        reason=reason,
    )  # fmt: skip
    return _version(session, row)


def _require(session: Session, actor: Actor, roles: Sequence[Role], does: str) -> None:
    """Refuse whoever has none of these roles now, whatever they had when they signed in."""
    role = actor_by_id(session, actor.user_id).role
    if role not in roles:
        needed = " or ".join(with_article(one) for one in roles)
        raise Forbidden(
            f"{needed} {does}; {actor.login!r} is {with_article(role)}",
            next_step=f"Ask {needed}.",
            details={"reason": "role", "rule": "policy_role", "required_role": roles[-1].value},
        )
    require_key(actor, Permission.ADMIN if role is Role.ADMIN else Permission.DECIDE)


def _reason(text: str) -> str:
    reason = plain_text(text, longest=500)
    if not reason:
        raise InvalidInput("a change of the policy needs a reason", next_step="Say why.")
    return reason


def _version(session: Session, row: PolicyVersion) -> Version:
    author = session.get(User, row.created_by_id) if row.created_by_id else None
    return Version(
        version=row.version,
        text=row.text,
        content=row.content,
        content_hash=row.content_hash,
        reason=row.reason,
        author=author.login if author else audit.SYSTEM.login,
        at=row.created_at,
    )


def _first_text(session: Session, company: Company) -> str:
    """Return the packaged policy with the limits that an older database has."""
    text = DEFAULT.read_text(encoding="utf-8")
    limits = _stored_limits(session)
    if not limits:
        return text
    values = {}
    for role in (Role.PLANNER, Role.APPROVER, Role.MANAGER):
        minor = limits.get(role, 0)
        amount = UNLIMITED if minor is None else amount_text(minor, company.currency)
        values[role.value] = f'"{amount}"'
    return with_values(text, values)


@lru_cache(maxsize=16)
def _read(version: int, content_hash: str, content: str) -> Policy:
    """Read a stored version once; nobody changes it afterwards."""
    if document_hash(json.loads(content)) != content_hash:
        raise Conflict(
            f"version {version} of the policy is not what was written",
            next_step="Somebody changed the database by hand: verify the audit trail.",
            details={"rule": "policy_altered"},
        )
    return policy_of(PolicyDocument.model_validate_json(content), version=version)


def _shipped(session: Session) -> Policy:
    """Return what counts before the first version is written."""
    limits = _stored_limits(session)
    return replace(_packaged(), role_limits=limits) if limits else _packaged()


@lru_cache(maxsize=1)
def _packaged() -> Policy:
    """Read what the program brings, with two decimals as most currencies have."""
    content = read_policy(DEFAULT.read_text(encoding="utf-8"), currency="USD").content()
    return policy_of(PolicyDocument.model_validate({**content, "currency": None}), version=0)


def _stored_limits(session: Session) -> dict[Role, int | None]:
    return {row.role: row.approval_limit_minor for row in session.exec(select(RoleLimit))}
