"""Terms, lead times, reliability and landed cost of suppliers: pure functions."""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from tools.errors import InvalidInput

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
UNREACHABLE = 2**62
MEAN_NEEDS = 3  # receipts before an own mean counts
SPREAD_NEEDS = 5  # receipts before an own standard deviation counts alone
ASSUMED_VARIATION = 0.30  # of a quoted lead time when nobody has delivered anything yet
NOTE_LENGTH = 300
MOST_LEAD_DAYS = 1000  # a longer lead time is a typing error; nobody can plan with it


@dataclass(frozen=True)
class Delivery:
    """One received order line: when it was ordered, promised and came, and how much."""

    ordered_on: date
    received_on: date
    ordered_units: int
    received_units: int
    promised_on: date | None = None

    @property
    def days(self) -> int:
        """Calendar days from order to physical receipt."""
        return (self.received_on - self.ordered_on).days


@dataclass(frozen=True)
class LeadTime:
    """Lead time in calendar days: mean, standard deviation, receipts behind it, and from where.

    ``source`` is ``item`` (own receipts), ``supplier`` (all items of the supplier) or ``quoted``.
    """

    mean_days: float
    sd_days: float
    count: int
    source: str

    @property
    def is_capped(self) -> bool:
        """The recorded lead time was longer than anybody's can be."""
        return self.mean_days >= MOST_LEAD_DAYS

    def late_days(self, z: float) -> float:
        """Return the lead time that is exceeded with the probability of the quantile ``z``."""
        return self.mean_days + z * self.sd_days


@dataclass(frozen=True)
class Offer:
    """Terms under which a supplier sells an item; money in minor units of ``currency``."""

    supplier_id: int
    item_id: int
    supplier_code: str
    supplier_name: str
    currency: str
    unit_price_minor: int
    moq_units: int = 0
    order_multiple_units: int = 1
    max_units: int | None = None
    pack_uom: str = "each"
    pack_units: int = 1
    quoted_lead_time_days: int = 0
    duty_bp: int = 0
    order_cost_minor: int = 0
    min_order_value_minor: int = 0
    working_days: str = "1234567"
    is_preferred: bool = False
    is_approved: bool = True
    is_active: bool = True
    breaks: tuple[tuple[int, int], ...] = field(default=())  # (from units, unit price), rising
    closed_on: frozenset[date] = frozenset()  # holidays and closures of the supplier ahead

    @property
    def step_units(self) -> int:
        """Orders come in whole packs and in the supplier's multiples: a multiple of both."""
        return math.lcm(max(self.order_multiple_units, 1), max(self.pack_units, 1))

    @property
    def is_usable(self) -> bool:
        """The supplier is approved and active."""
        return self.is_approved and self.is_active


def unit_price(base_minor: int, breaks: Sequence[tuple[int, int]], quantity: int) -> int:
    """Price under all-units discounts: of the breaks reached, the one with the most units.

    Example:
        >>> unit_price(800, [(5040, 760), (1000, 780)], 1920)
        780
    """
    reached = [step for step in breaks if quantity >= step[0]]
    return max(reached)[1] if reached else base_minor


def break_table(offers: Sequence[Offer]) -> tuple[Ints, Ints]:
    """Price breaks of many offers as two tables (quantity, price), one row per offer.

    Shorter rows are filled with a quantity that nobody reaches.
    """
    width = max([1, *(len(offer.breaks) for offer in offers)])
    steps = np.full((len(offers), width), UNREACHABLE, dtype=np.int64)
    prices = np.zeros((len(offers), width), dtype=np.int64)
    for row, offer in enumerate(offers):
        for column, (least, price) in enumerate(offer.breaks):
            steps[row, column], prices[row, column] = least, price
    return steps, prices


def prices_at(quantities: Ints, base: Ints, steps: Ints, prices: Ints) -> Ints:
    """Unit prices for quantities, shape (n,), from tables made by ``break_table``."""
    result = base
    for column in range(steps.shape[1]):
        result = np.where(quantities >= steps[:, column], prices[:, column], result)
    return result


def next_break(offer: Offer, quantity: int) -> tuple[int, int] | None:
    """The next larger quantity at which the price falls, with that price."""
    return next((step for step in offer.breaks if step[0] > quantity), None)


@dataclass(frozen=True)
class DeliveryStats:
    """Deliveries counted, mean and unbiased variance of their days, weighted by units."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    @property
    def variation(self) -> float | None:
        """Standard deviation over mean; None below 5 deliveries."""
        if self.count < SPREAD_NEEDS or self.mean <= 0:
            return None
        return math.sqrt(self.variance) / self.mean


NO_DELIVERIES = DeliveryStats()


def delivery_stats(deliveries: Sequence[Delivery]) -> DeliveryStats:
    """Mean and unbiased variance of the days of deliveries, weighted by received units."""
    if not deliveries:
        return NO_DELIVERIES
    weights = [max(delivery.received_units, 1) for delivery in deliveries]
    days = [delivery.days for delivery in deliveries]
    total, count = sum(weights), len(days)
    mean = sum(w * d for w, d in zip(weights, days, strict=True)) / total
    spread = sum(w * (d - mean) ** 2 for w, d in zip(weights, days, strict=True)) / total
    return DeliveryStats(count, mean, spread * count / (count - 1) if count > 1 else 0.0)


def lead_time(
    own: DeliveryStats,
    of_supplier: DeliveryStats = NO_DELIVERIES,
    everywhere: DeliveryStats = NO_DELIVERIES,
    *,
    quoted_days: float,
) -> LeadTime:
    """Lead time from receipts, falling back from item to supplier to quoted.

    The mean is weighted by quantity and needs 3 receipts. The standard deviation needs 5; with
    fewer it is pulled towards the variation of the supplier, else of all suppliers, else 30 %.
    Neither exceeds ``MOST_LEAD_DAYS``: one mistyped row must not stop the plan of all items.

    Example:
        >>> lead_time(NO_DELIVERIES, quoted_days=10)
        LeadTime(mean_days=10.0, sd_days=3.0, count=0, source='quoted')
    """
    if quoted_days < 0:
        raise InvalidInput(f"a lead time must be >= 0 days, got {quoted_days!r}")
    known = (stats.variation for stats in (of_supplier, everywhere))
    variation = next((value for value in known if value is not None), ASSUMED_VARIATION)
    for source, stats in (("item", own), ("supplier", of_supplier)):
        if stats.count >= MEAN_NEEDS:
            spread = _shrunk(stats.variance, stats.count, variation * stats.mean)
            return _capped(stats.mean, spread, stats.count, source)
    return _capped(float(quoted_days), variation * quoted_days, own.count, "quoted")


def _capped(mean: float, sd: float, count: int, source: str) -> LeadTime:
    return LeadTime(min(mean, MOST_LEAD_DAYS), min(sd, MOST_LEAD_DAYS), count, source)


def _shrunk(variance: float, count: int, prior_sd: float) -> float:
    if count >= SPREAD_NEEDS:
        return math.sqrt(variance)
    weight = count - 1
    blended = (weight * variance + SPREAD_NEEDS * prior_sd**2) / (weight + SPREAD_NEEDS)
    return math.sqrt(blended)


def add_working_days(start: date, days: int, working_days: str) -> date:
    """The day on which the ``days``-th working day after ``start`` ends.

    Args:
        start: Day of the order, not counted.
        days: Working days, >= 0.
        working_days: ISO weekdays on which the supplier works, 1 = Monday.

    Raises:
        InvalidInput: No working day, or a negative number of days.

    Example:
        >>> add_working_days(date(2026, 3, 6), 2, "12345")  # a Friday
        datetime.date(2026, 3, 10)
    """
    if days < 0:
        raise InvalidInput(f"working days must be >= 0, got {days!r}")
    if not set(working_days) & set("1234567"):
        raise InvalidInput(f"a supplier needs at least one working day, got {working_days!r}")
    weeks, rest = divmod(days, len(set(working_days)))
    day = start + timedelta(days=7 * weeks)
    while rest:
        day += timedelta(days=1)
        rest -= str(day.isoweekday()) in working_days
    return day


def arrival_on(offer: Offer, time: LeadTime, today: date) -> date:
    """Day on which an order of today is expected: quoted working days, or measured days.

    Closed days on the way put it off, and a day on which the supplier does not work moves to the
    next one.
    """
    if time.source == "quoted":
        quoted = min(offer.quoted_lead_time_days, MOST_LEAD_DAYS)
        on = add_working_days(today, quoted, offer.working_days)
        shift = math.ceil(time.mean_days - quoted_calendar_days(offer) - 1e-9)
        on += timedelta(days=shift)
    else:
        on = today + timedelta(days=math.ceil(time.mean_days - 1e-9))
    on = _put_off(on, today, offer.closed_on)
    open_days = set(offer.working_days) & set("1234567") or set("1234567")
    while str(on.isoweekday()) not in open_days or on in offer.closed_on:
        on += timedelta(days=1)
    return on


def _put_off(on: date, today: date, closed_on: frozenset[date]) -> date:
    """The day moved by the closed days between today and it, and those that this brings in."""
    due, moved = on, -1
    while closed_on and (count := sum(today < day <= due for day in closed_on)) != moved:
        due, moved = on + timedelta(days=count), count
    return due


def quoted_calendar_days(offer: Offer) -> float:
    """The quoted working days as calendar days, on average over the week."""
    quoted = min(offer.quoted_lead_time_days, MOST_LEAD_DAYS)
    return quoted * 7 / max(1, len(set(offer.working_days)))


def wilson_interval(successes: int, trials: int, *, z: float = 1.959964) -> tuple[float, float]:
    """Interval of a share that stays honest for few trials (Wilson, 95 % by default).

    Example:
        >>> [round(bound, 3) for bound in wilson_interval(8, 10)]
        [0.49, 0.943]
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InvalidInput(f"a share needs 0 <= successes <= trials, got {successes!r}/{trials!r}")
    share = successes / trials
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    return max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share))


@dataclass(frozen=True)
class OnTimeInFull:
    """Share of lines on time and in full; None without data. ``low``, ``high``: 95 % interval."""

    strict: float | None
    by_quantity: float | None
    count: int
    low: float | None = None
    high: float | None = None


def on_time_in_full(
    deliveries: Sequence[Delivery], *, early_days: int = 30, late_days: int = 0
) -> OnTimeInFull:
    """OTIF against the promise, by physical date; lines without a promise do not count.

    Example:
        >>> on_time_in_full([]).strict is None
        True
    """
    promised = [(d, (d.received_on - d.promised_on).days) for d in deliveries if d.promised_on]
    if not promised:
        return OnTimeInFull(None, None, 0)
    on_time = [d for d, late in promised if -early_days <= late <= late_days]
    full = sum(delivery.received_units >= delivery.ordered_units for delivery in on_time)
    credited = sum(min(d.received_units, d.ordered_units) for d in on_time)
    ordered = sum(delivery.ordered_units for delivery, _ in promised)
    low, high = wilson_interval(full, len(promised))
    by_quantity = credited / ordered if ordered else None
    return OnTimeInFull(full / len(promised), by_quantity, len(promised), low, high)


def landed_cost(
    *,
    unit_price: float,
    duty_rate: float,
    order_cost: float,
    quantity: float,
    lead_time_days: float,
    safety_stock: float,
    annual_demand: float,
    carrying_rate: float,
) -> float:
    """Cost of a unit on our shelf: price, duty, freight, capital in the pipe and in the buffer.

    price * (1 + duty) + order cost / Q + price * i * L / 365 + SS * price * i / D.

    Args:
        unit_price: Price of a unit, money.
        duty_rate: Fraction of the price, >= 0.
        order_cost: Freight, handling and fees of the order line, money.
        quantity: Q, units, > 0.
        lead_time_days: L, >= 0.
        safety_stock: SS that this lead time needs, units, >= 0.
        annual_demand: D, units a year, >= 0; at 0 the buffer's cost is left out.
        carrying_rate: i, fraction a year, >= 0.

    Returns:
        Money per unit, in the unit of ``unit_price``.

    Raises:
        InvalidInput: A value is outside its range.

    Example:
        >>> round(landed_cost(unit_price=7.80, duty_rate=0, order_cost=350, quantity=1920,
        ...     lead_time_days=9, safety_stock=343.46, annual_demand=36500, carrying_rate=0.25), 4)
        8.0487
    """
    if quantity <= 0:
        raise InvalidInput(f"a landed cost needs a quantity > 0, got {quantity!r}")
    terms = (unit_price, duty_rate, order_cost, lead_time_days, annual_demand, carrying_rate)
    if min(terms) < 0:
        raise InvalidInput(f"costs, days and rates must be >= 0, got {min(terms)!r}")
    values = (unit_price, duty_rate, order_cost, quantity, lead_time_days, safety_stock)
    arrays = [np.array([value], dtype=np.float64) for value in (*values, annual_demand)]
    return float(landed_costs(*arrays, carrying_rate=carrying_rate)[0])


def landed_costs(
    unit_price: Floats,
    duty_rate: Floats,
    order_cost: Floats,
    quantity: Floats,
    lead_time_days: Floats,
    safety_stock: Floats,
    annual_demand: Floats,
    *,
    carrying_rate: float,
) -> Floats:
    """The same on arrays of shape (n,), unchecked; see ``landed_cost``."""
    carried = unit_price * carrying_rate
    pipeline = carried * lead_time_days / 365
    spread = np.where(annual_demand > 0, annual_demand, 1.0)
    buffer = np.where(annual_demand > 0, np.maximum(safety_stock, 0.0) * carried / spread, 0.0)
    freight = order_cost / np.maximum(quantity, 1.0)
    return np.asarray(unit_price * (1 + duty_rate) + freight + pipeline + buffer)


def unrated_notes(currencies: Iterable[str]) -> list[str]:
    """Name the currencies without an exchange rate.

    Example:
        >>> unrated_notes(["JPY"])
        ["no exchange rate for 'JPY': amounts in it are left out of totals and values"]
    """
    return [
        f"no exchange rate for {code!r}: amounts in it are left out of totals and values"
        for code in sorted(set(currencies))
    ]


def quoted_note(text: str) -> str:
    """A supplier's free text, made safe to show: no control characters, at most 300 long."""
    kept = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    return " ".join(kept.split())[:NOTE_LENGTH]
