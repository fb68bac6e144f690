"""The components of a forecast as sentences: every word around a number, no other claim."""

import numpy as np

from tools.forecasting.core.components import NAMES, Parts

WEEKDAYS = (
    "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays",
)  # fmt: skip
LEAST_SHARE = 0.05  # of the level; a smaller weekday effect is not worth a word
MOST_WEEKDAYS = 3


def digits_for(value: float) -> int:
    """Decimals with which a daily quantity is shown.

    Example:
        >>> digits_for(250.0), digits_for(14.1), digits_for(0.31)
        (0, 1, 2)
    """
    return 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2


def shown_averages(parts: Parts) -> tuple[float, dict[str, float], int]:
    """Daily mean and its components, rounded so that what is shown adds up to what is shown.

    The remainder takes what rounding leaves over.

    Returns:
        Mean, components in the order of ``NAMES``, and the decimals they are rounded to.
    """
    mean = float(parts.mean.mean())
    digits = digits_for(mean)
    shown = {name: round(value, digits) for name, value in parts.averages().items()}
    others = sum(value for name, value in shown.items() if name != "remainder")
    whole = round(mean, digits)
    shown["remainder"] = round(whole - others, digits)
    return whole, {name: value + 0.0 for name, value in shown.items()}, digits


def reasons(parts: Parts) -> list[str]:
    """Say what a forecast is made of.

    Args:
        parts: Components of the days in question.

    Returns:
        The sum first, then level, trend, season and events where they matter.
    """
    mean, shown, digits = shown_averages(parts)
    terms = [
        f"{name} {value:,.{digits}f}" if name == "level" else f"{name} {value:+,.{digits}f}"
        for name, value in shown.items()
        if value or name == "level"
    ]
    said = [
        f"{mean:,.{digits}f} a day over {len(parts.mean)} days: {', '.join(terms)}.",
        f"The level is the mean of the last {parts.window_days} days.",
    ]
    weekly = 7 * parts.slope
    if abs(weekly) >= 0.5 * 10**-digits:
        said.append(f"The trend is {weekly:+,.{digits}f} a day every week.")
    if text := weekday_text(parts):
        said.append(text)
    if parts.event_names:
        said.append(f"Events counted: {', '.join(parts.event_names)}.")
    return said


def weekday_text(parts: Parts) -> str:
    """The weekdays that differ most from their week, in percent of it; empty without any."""
    base = float((parts.level + parts.shift + parts.trend).mean())
    if base <= 0 or not parts.weekdays:
        return ""
    share = np.asarray(parts.weekdays) / base
    order = np.argsort(-np.abs(share), kind="stable")[:MOST_WEEKDAYS]
    told = [f"{WEEKDAYS[k]} {share[k]:+.0%}" for k in order if abs(share[k]) >= LEAST_SHARE]
    return f"Against the mean of the week: {', '.join(told)}.".replace("%", " %") if told else ""


def mean_terms(parts: Parts) -> list[dict[str, object]]:
    """Terms of the daily mean for a picture: ``{"label", "value"}``, zeros left out."""
    _, shown, _ = shown_averages(parts)
    return [{"label": n, "value": shown[n]} for n in NAMES if shown[n] or n == "level"]
