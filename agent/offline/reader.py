"""From the text of a message to its pieces, in the one order that keeps them apart.

Names come first ("Box of 12" holds a number), then dates, percentages and time spans, and what is
left of the numbers are quantities.
"""

from collections.abc import Collection
from datetime import date

from agent.offline.dates import take_periods
from agent.offline.entities import Linker
from agent.offline.numbers import take_durations, take_percents, take_quantities
from agent.offline.reading import Canvas, Reading, plain


def read(text: str, linker: Linker, today: date | None, documents: Collection[str] = ()) -> Reading:
    """Read one message.

    Args:
        text: What the planner wrote.
        linker: Knows the names of the catalogue.
        today: The day on which it was written, for relative dates.
        documents: Numbers of orders that the conversation spoke of.
    """
    canvas = Canvas(plain(text))
    mentions = linker.take(canvas, documents)
    periods = take_periods(canvas, today)
    percents = take_percents(canvas)
    durations = take_durations(canvas)
    quantities = take_quantities(canvas)
    return Reading(
        text=canvas.text,
        delexical=canvas.delexical(),
        mentions=tuple(mentions),
        quantities=tuple(quantities),
        percents=tuple(percents),
        durations=tuple(durations),
        periods=tuple(periods),
    )
