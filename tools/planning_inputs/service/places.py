"""Which public holidays a place keeps."""

from datetime import date, timedelta

from sqlmodel import Session

from db.models.catalog import Location
from db.types import Actor, Permission
from tools.audit import service as audit
from tools.catalog.service import resolve_location
from tools.clock import Clock
from tools.identity.service import acting, require_scope
from tools.planning_inputs.core.holidays import public_holidays


def set_country(
    session: Session, location: str | None, country: str, *, actor: Actor, clock: Clock
) -> Location:
    """Say where a place lies, so that its public holidays are known; "" for none.

    Args:
        session: A write transaction.
        location: Code of the place; the usual one by default.
        country: ISO 3166 code, with a part such as GB-ENG.
        actor: Who says so.
        clock: Time.

    Raises:
        InvalidInput: No holidays of this country are known.
        Forbidden: Role or scope do not allow it.
    """
    audit.lock(session)
    who = acting(session, actor, Permission.DRAFT)
    place = resolve_location(session, location)
    require_scope(session, who, location=place.code)
    public_holidays(country, [clock.now().year])
    if place.country != country:
        before, place.country = place.country, country
        session.add(place)
        session.flush()
        audit.append(
            session, at=clock.now(), actor=who, action="location.country_set",
            object_id=place.code, before={"country": before}, after={"country": country},
        )  # fmt: skip
    return place


def holidays_ahead(place: Location, *, today: date, days: int = 365) -> dict[date, str]:
    """Name the public holidays of a place from today on."""
    last = today + timedelta(days=days)
    found = public_holidays(place.country, range(today.year, last.year + 1))
    return {on: name for on, name in found.items() if today <= on <= last}
