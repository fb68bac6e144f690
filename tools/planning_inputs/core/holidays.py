"""Public holidays by the country of a location, from the ``holidays`` library."""

from collections.abc import Collection, Mapping
from datetime import date

from db.types import EventKind
from tools.errors import InvalidInput
from tools.planning_inputs.core.values import Event


def public_holidays(country: str, years: Collection[int]) -> dict[date, str]:
    """Name the public holidays of a country or a part of one.

    Args:
        country: ISO 3166 code, with a part such as "GB-ENG"; "" has none.
        years: Which years.

    Returns:
        Names by day, in the order of the days.

    Raises:
        InvalidInput: The library knows no such country or part.

    Example:
        >>> public_holidays("GB-ENG", [2026])[date(2026, 12, 28)]
        'Boxing Day (observed)'
    """
    if not country:
        return {}
    import holidays  # not needed to start the program

    land, _, part = country.partition("-")
    try:
        found = holidays.country_holidays(
            land, subdiv=part or None, years=sorted(years), language="en_US"
        )
    except NotImplementedError as error:
        raise InvalidInput(
            f"no public holidays are known for {country!r}",
            next_step="Give an ISO 3166 code, such as GB-ENG or DE-BY; empty for none.",
        ) from error
    return {on: found[on] for on in sorted(found)}


def holiday_events(countries: Mapping[int, str], *, start_on: date, end_on: date) -> list[Event]:
    """Give the public holidays of each location as events whose uplift is to be learned.

    Args:
        countries: ISO 3166 code by location id.
        start_on: First day.
        end_on: Last day.
    """
    years = range(start_on.year, end_on.year + 1)
    by_country = {code: public_holidays(code, years) for code in set(countries.values())}
    return [
        Event(0, EventKind.HOLIDAY, name, on, on, location_id=location_id)
        for location_id, code in sorted(countries.items())
        for on, name in by_country[code].items()
        if start_on <= on <= end_on
    ]
