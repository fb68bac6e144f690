"""Safety stock and reorder point, for one item or for a hundred thousand at once.

``PolicyInputs`` holds one row per item; the scalar functions build a row and call the same code.
Standard deviations are those of the *forecast error*, not of demand.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from db.types import SafetyStockMethod, ServiceMeasure
from tools.errors import InvalidInput
from tools.planning.core.service_levels import (
    NEGATIVE_BINOMIAL,
    NORMAL,
    POISSON,
    count_level_for_loss,
    count_quantile,
    inverse_normal_loss,
    is_discrete,
    z,
)

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
ROUNDING = 1e-9  # a reorder point of 5.0000000001 is 5


@dataclass(frozen=True)
class PolicyInputs:
    """One row per item; all arrays have shape (n,).

    Attributes:
        demand_total: Expected demand over the protection window (lead time + review), units.
        demand_total_sd: Standard deviation of the error of that total, units.
        demand_mean: d, units a day over the window.
        lead_time_sd: Days.
        service_rate: In (0, 1): cycle service level or fill rate, as ``is_fill_rate`` says.
        order_quantity: Q, units, that a usual order brings; only fill rates need it.
        adi: Average days between demands; above 1.32 a count distribution is used.
        empirical_buffer: Quantile minus mean of past errors of the total; nan where unknown.
        is_fill_rate, is_lost_sales: What ``service_rate`` means.
        method: A ``SafetyStockMethod`` per row, as text.
    """

    demand_total: Floats
    demand_total_sd: Floats
    demand_mean: Floats
    lead_time_sd: Floats
    service_rate: Floats
    order_quantity: Floats
    adi: Floats
    empirical_buffer: Floats
    is_fill_rate: Flags
    is_lost_sales: Flags
    method: npt.NDArray[np.str_]


@dataclass(frozen=True)
class PolicyNumbers:
    """Results, one row per item: whole reorder points and the spread behind them."""

    reorder_point: npt.NDArray[np.int64]
    safety_stock: Floats
    sigma_ltd: Floats
    distribution: npt.NDArray[np.str_]
    is_floored: Flags


def reorder_points(inputs: PolicyInputs) -> PolicyNumbers:
    """Reorder points of all rows: expected demand over the window plus safety stock, rounded up.

    Slow and intermittent rows (mean below 10 or ADI above 1.32, method ``combined``) take the
    quantile of a Poisson or negative binomial with the same mean and variance. Without past errors
    ``empirical`` falls back to ``combined``. A negative buffer is floored at 0 and reported.
    """
    sigma = np.hypot(inputs.demand_total_sd, inputs.demand_mean * inputs.lead_time_sd)
    is_empirical = inputs.method == SafetyStockMethod.EMPIRICAL.value
    is_combined = (inputs.method == SafetyStockMethod.COMBINED.value) | (
        is_empirical & ~_has_errors(inputs)
    )
    is_slow = is_combined & is_discrete(inputs.demand_total, inputs.adi)
    buffer = np.where(is_slow, 0.0, _normal_buffer(inputs, sigma))
    if is_slow.any():
        buffer[is_slow] = _count_buffer(inputs, sigma, is_slow)
    is_floored = buffer < 0
    buffer = np.maximum(buffer, 0.0)
    points = np.ceil(inputs.demand_total + buffer - ROUNDING).astype(np.int64)
    is_poisson = sigma**2 <= inputs.demand_total * (1 + 1e-9)
    slow_name = np.where(is_poisson, POISSON, NEGATIVE_BINOMIAL)
    plain_name = np.where(_has_errors(inputs), SafetyStockMethod.EMPIRICAL.value, NORMAL)
    return PolicyNumbers(
        reorder_point=points,
        safety_stock=buffer,
        sigma_ltd=sigma,
        distribution=np.where(is_slow, slow_name, plain_name),
        is_floored=is_floored,
    )


def _has_errors(inputs: PolicyInputs) -> Flags:
    is_empirical = inputs.method == SafetyStockMethod.EMPIRICAL.value
    result: Flags = is_empirical & ~np.isnan(inputs.empirical_buffer)
    return result


def _normal_buffer(inputs: PolicyInputs, sigma: Floats) -> Floats:
    factor = z(inputs.service_rate)
    if inputs.is_fill_rate.any():
        rows = inputs.is_fill_rate
        factor[rows] = _fill_rate_factor(_allowed_shortage(inputs)[rows], sigma[rows])
    lead_part = inputs.demand_mean * inputs.lead_time_sd
    additive = factor * (lead_part + inputs.demand_total_sd)
    demand_only = factor * inputs.demand_total_sd
    known = np.nan_to_num(inputs.empirical_buffer)
    empirical = np.sign(known) * np.hypot(known, factor * lead_part)
    method = inputs.method
    conditions = [
        method == SafetyStockMethod.ADDITIVE.value,
        method == SafetyStockMethod.DEMAND_ONLY.value,
        _has_errors(inputs),
    ]
    result: Floats = np.select(conditions, [additive, demand_only, empirical], factor * sigma)
    return result


def _allowed_shortage(inputs: PolicyInputs) -> Floats:
    """Expected units short per cycle that a fill rate allows."""
    lost = inputs.order_quantity * (1 - inputs.service_rate)
    result: Floats = np.where(inputs.is_lost_sales, lost / inputs.service_rate, lost)
    return result


def _fill_rate_factor(allowed: Floats, sigma: Floats) -> Floats:
    is_spread = sigma > ROUNDING
    loss = np.maximum(allowed / np.where(is_spread, sigma, 1.0), 1e-12)
    return inverse_normal_loss(np.where(is_spread, loss, 1.0))


def _count_buffer(inputs: PolicyInputs, sigma: Floats, rows: Flags) -> Floats:
    mean, variance = inputs.demand_total[rows], sigma[rows] ** 2
    level = np.empty(len(mean))
    by_fill = inputs.is_fill_rate[rows]
    if by_fill.any():
        allowed = _allowed_shortage(inputs)[rows][by_fill]
        level[by_fill] = count_level_for_loss(allowed, mean[by_fill], variance[by_fill])
    by_cycle = ~by_fill
    if by_cycle.any():
        rate = inputs.service_rate[rows][by_cycle]
        level[by_cycle] = count_quantile(rate, mean[by_cycle], variance[by_cycle])
    result: Floats = level - mean
    return result


def one_row(
    *,
    service_rate: float,
    demand_mean: float,
    demand_sd: float,
    lead_time_mean: float,
    lead_time_sd: float,
    review_period: float = 0.0,
    method: SafetyStockMethod = SafetyStockMethod.COMBINED,
    measure: ServiceMeasure = ServiceMeasure.CYCLE,
    order_quantity: float | None = None,
    is_lost_sales: bool = False,
    adi: float = 1.0,
    empirical_buffer: float | None = None,
    demand_total: float | None = None,
) -> PolicyInputs:
    """Validated inputs of one item with independent daily errors.

    Args:
        service_rate: Cycle service level or fill rate (``measure`` says which), in (0, 1).
        demand_mean: d, units/day, >= 0.
        demand_sd: Standard deviation of the forecast error, units/day, >= 0.
        lead_time_mean: L, days, >= 0.
        lead_time_sd: Days, >= 0.
        review_period: R, days, >= 0; 0 is continuous review.
        method: How the buffer is computed.
        measure: What ``service_rate`` means.
        order_quantity: Q, units, > 0; needed for fill rates.
        is_lost_sales: Unmet demand is lost instead of waiting.
        adi: Average days between demands, >= 1.
        empirical_buffer: Quantile minus mean of past errors of the window's total, units.
        demand_total: Sum of the forecast over the window when it is not flat, units, >= 0.

    Raises:
        InvalidInput: A value is outside its range or missing.
    """
    _require_level(service_rate)
    days = review_period + lead_time_mean
    values = {
        "demand_mean": demand_mean, "demand_sd": demand_sd, "lead_time_mean": lead_time_mean,
        "lead_time_sd": lead_time_sd, "review_period": review_period,
        "demand_total": demand_mean * days if demand_total is None else demand_total,
    }  # fmt: skip
    _require_numbers(values)
    if measure == ServiceMeasure.FILL_RATE:
        _require_quantity(order_quantity)
    row: dict[str, object] = {
        "demand_total": values["demand_total"],
        "demand_total_sd": demand_sd * np.sqrt(days),
        "demand_mean": demand_mean,
        "lead_time_sd": lead_time_sd,
        "service_rate": service_rate,
        "order_quantity": order_quantity or 1.0,
        "adi": adi,
        "empirical_buffer": np.nan if empirical_buffer is None else empirical_buffer,
        "is_fill_rate": measure == ServiceMeasure.FILL_RATE,
        "is_lost_sales": is_lost_sales,
        "method": method.value,
    }
    return PolicyInputs(**{f.name: np.array([row[f.name]]) for f in fields(PolicyInputs)})


def safety_stock(
    *,
    cycle_service_level: float,
    demand_mean: float,
    demand_sd: float,
    lead_time_mean: float,
    lead_time_sd: float,
    review_period: float = 0.0,
    method: SafetyStockMethod = SafetyStockMethod.COMBINED,
    empirical_buffer: float | None = None,
) -> float:
    """Buffer against variable demand and variable lead time, from the normal distribution.

    ``combined``: z * sqrt((L + R) * sd_d**2 + d**2 * sd_L**2), z the quantile of the service level.
    ``additive``: z * d * sd_L + z * sd_d * sqrt(L + R), an upper bound of it. ``demand_only``
    forgets the lead time's spread. ``empirical`` takes the quantile of past errors.
    Assumes independent, normal daily errors.

    Args:
        cycle_service_level: Probability of no stockout in a cycle, in (0, 1).
        demand_mean: d, units/day, >= 0.
        demand_sd: Standard deviation of the forecast error, units/day, >= 0.
        lead_time_mean: L, days, >= 0.
        lead_time_sd: Days, >= 0.
        review_period: R, days, >= 0.
        method: See above.
        empirical_buffer: Units; needed for ``empirical``.

    Returns:
        Units; negative below a service level of 0.5.

    Raises:
        InvalidInput: A parameter is outside its range.

    References:
        Silver, Pyke & Thomas, Inventory and Production Management in Supply Chains.

    Example:
        >>> round(safety_stock(cycle_service_level=0.95, demand_mean=100, demand_sd=20,
        ...                    lead_time_mean=9, lead_time_sd=2), 2)
        343.46
    """
    if method == SafetyStockMethod.EMPIRICAL and empirical_buffer is None:
        raise InvalidInput("the empirical method needs past errors of the lead-time total")
    inputs = one_row(
        service_rate=cycle_service_level, demand_mean=demand_mean, demand_sd=demand_sd,
        lead_time_mean=lead_time_mean, lead_time_sd=lead_time_sd, review_period=review_period,
        method=method, empirical_buffer=empirical_buffer,
    )  # fmt: skip
    sigma = np.hypot(inputs.demand_total_sd, inputs.demand_mean * inputs.lead_time_sd)
    return float(_normal_buffer(inputs, sigma)[0])


def fill_rate_safety_stock(
    *, fill_rate: float, order_quantity: float, sigma_ltd: float, is_lost_sales: bool = False
) -> float:
    """Buffer for a fill rate: k * sigma with G(k) = (1 - fill_rate) * Q / sigma.

    With lost sales the allowed shortage is Q * (1 - fill_rate) / fill_rate.

    Args:
        fill_rate: Share of demand served from stock, in (0, 1).
        order_quantity: Q, units, > 0.
        sigma_ltd: Standard deviation of lead-time demand, units, >= 0.
        is_lost_sales: Unmet demand is lost instead of waiting.

    Returns:
        Units; negative when large orders alone give the fill rate.

    Raises:
        InvalidInput: A parameter is outside its range.

    Example:
        >>> round(fill_rate_safety_stock(fill_rate=0.98, order_quantity=400, sigma_ltd=208.81), 1)
        288.2
    """
    inputs = one_row(
        service_rate=fill_rate, demand_mean=0, demand_sd=sigma_ltd, lead_time_mean=1,
        lead_time_sd=0, measure=ServiceMeasure.FILL_RATE, order_quantity=order_quantity,
        is_lost_sales=is_lost_sales,
    )  # fmt: skip
    return float(_normal_buffer(inputs, inputs.demand_total_sd)[0])


def reorder_point(inputs: PolicyInputs) -> int:
    """Reorder point of the single row of ``one_row``, in whole units, rounded up.

    Example:
        >>> reorder_point(one_row(service_rate=0.95, demand_mean=100, demand_sd=20,
        ...                       lead_time_mean=9, lead_time_sd=2))
        1244
    """
    return int(reorder_points(inputs).reorder_point[0])


def _require_numbers(values: dict[str, float]) -> None:
    for name, value in values.items():
        if not (np.isfinite(value) and value >= 0):
            raise InvalidInput(f"{name} must be a number >= 0, got {value!r}")


def _require_quantity(order_quantity: float | None) -> None:
    if order_quantity is None or not order_quantity > 0:
        raise InvalidInput(
            f"a fill rate needs an order quantity > 0, got {order_quantity!r}",
            next_step="Give the quantity that one order brings.",
        )


def _require_level(level: float) -> None:
    if not 0 < level < 1:
        raise InvalidInput(
            f"a service level must lie in (0, 1), got {level!r}",
            next_step="Give a fraction such as 0.95.",
        )
