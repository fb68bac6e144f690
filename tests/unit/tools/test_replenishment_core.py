"""Policies, lots and order quantities, against the domain page, stockpyl and brute force.

Fixture G: demand 100 +- 20 a day, lead time 9 +- 2 days, 95 % cycle service.
"""

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from db.types import SafetyStockMethod, ServiceMeasure
from tools.errors import InvalidInput
from tools.planning.core.lots import all_units_lot, eoq, incremental_lot
from tools.planning.core.policies import (
    PolicyInputs,
    fill_rate_safety_stock,
    one_row,
    reorder_point,
    reorder_points,
    safety_stock,
)
from tools.planning.core.quantities import (
    NO_LIMIT,
    Packs,
    order_quantity,
    packs_for_units,
    raised_to_break,
)
from tools.planning.core.service_levels import (
    count_cdf,
    count_level_for_loss,
    count_loss,
    count_quantile,
    inverse_normal_loss,
    normal_loss,
    z,
)

G: dict[str, Any] = {
    "demand_mean": 100.0,
    "demand_sd": 20.0,
    "lead_time_mean": 9.0,
    "lead_time_sd": 2.0,
}
SIGMA_G = math.sqrt(9 * 20**2 + 100**2 * 2**2)  # 208.81
BREAKS = [(0, 8.00), (1000, 7.80), (5000, 7.60)]


def _one(value: float) -> Any:
    return np.array([float(value)])


@pytest.mark.parametrize(
    ("level", "expected"),
    [(0.85, 1.0364), (0.90, 1.2816), (0.95, 1.6449), (0.975, 1.9600), (0.98, 2.0537),
     (0.99, 2.3263), (0.995, 2.5758), (0.999, 3.0902)],
)  # fmt: skip
def test_z_is_the_normal_quantile(level: float, expected: float) -> None:
    assert float(z(level)) == pytest.approx(expected, abs=5e-5)


class TestSafetyStock:
    @pytest.mark.parametrize(
        ("method", "expected"),
        [(SafetyStockMethod.COMBINED, 343.46), (SafetyStockMethod.ADDITIVE, 427.66),
         (SafetyStockMethod.DEMAND_ONLY, 98.69)],
    )  # fmt: skip
    def test_of_fixture_g_by_method(self, method: SafetyStockMethod, expected: float) -> None:
        assert safety_stock(cycle_service_level=0.95, method=method, **G) == pytest.approx(
            expected, abs=0.01
        )

    def test_additive_exceeds_combined_by_the_stated_ratio(self) -> None:
        additive = safety_stock(cycle_service_level=0.95, method=SafetyStockMethod.ADDITIVE, **G)

        assert additive / safety_stock(cycle_service_level=0.95, **G) == pytest.approx(
            1.2452, abs=5e-5
        )

    def test_periodic_review_protects_lead_time_and_interval(self) -> None:
        # sqrt(16 * 400 + 10000 * 4) = 215.41; * 1.6449 = 354.31
        assert safety_stock(cycle_service_level=0.95, review_period=7, **G) == pytest.approx(
            354.31, abs=0.01
        )

    @pytest.mark.parametrize(
        ("change", "review", "buffer", "point"),
        [({"demand_mean": 140.0, "demand_sd": 28.0}, 0, 480.8, 1740.8),
         ({"lead_time_mean": 16.0}, 0, 354.3, 1954.3), ({}, 7, 354.31, 1954.31)],
    )  # fmt: skip
    def test_variants_of_fixture_g_unrounded(
        self, change: dict[str, float], review: float, buffer: float, point: float
    ) -> None:
        values = G | change
        found = safety_stock(cycle_service_level=0.95, review_period=review, **values)
        days = values["lead_time_mean"] + review

        assert found == pytest.approx(buffer, abs=0.05)
        assert values["demand_mean"] * days + found == pytest.approx(point, abs=0.05)

    def test_the_spread_of_a_weekly_review(self) -> None:
        numbers = reorder_points(one_row(service_rate=0.95, review_period=7, **G))

        assert numbers.sigma_ltd[0] == pytest.approx(215.41, abs=0.005)

    @given(demand_sd=st.floats(0.1, 500), lead_sd=st.floats(0.01, 30))
    def test_additive_is_at_most_root_2_times_the_correct_buffer(
        self, demand_sd: float, lead_sd: float
    ) -> None:
        values = G | {"demand_sd": demand_sd, "lead_time_sd": lead_sd}
        additive = safety_stock(
            cycle_service_level=0.95, method=SafetyStockMethod.ADDITIVE, **values
        )
        ratio = additive / safety_stock(cycle_service_level=0.95, **values)

        assert 1 <= ratio <= math.sqrt(2) + 1e-9

    def test_additive_reaches_root_2_when_both_parts_are_equal(self) -> None:
        values = G | {"demand_sd": 200 / 3}  # 200 / 3 * sqrt(9) = 200 = 100 * 2

        additive = safety_stock(
            cycle_service_level=0.95, method=SafetyStockMethod.ADDITIVE, **values
        )

        ratio = additive / safety_stock(cycle_service_level=0.95, **values)
        assert ratio == pytest.approx(math.sqrt(2))

    def test_no_method_adds_days_to_units(self) -> None:
        # z * 2 days + z * 20 units = 36.19 of nothing; in units it is 427.66
        mixed = float(z(0.95)) * (2 + 20)
        found = [
            safety_stock(cycle_service_level=0.95, method=method, empirical_buffer=98.69, **G)
            for method in SafetyStockMethod
        ]

        assert mixed == pytest.approx(36.19, abs=0.005)
        assert min(found) > 2 * mixed

    @pytest.mark.parametrize(("buffer", "joint", "exact"), [
        (98.69, 0.6818, 0.6841),  # demand_only, which forgets the lead time's spread
        (36.19, 0.5688, 0.5721),  # days and units added
    ])  # fmt: skip
    def test_what_a_wrong_buffer_gives_instead_of_95_percent(
        self, buffer: float, joint: float, exact: float
    ) -> None:
        def covered(days: float) -> float:  # this lead time, weighted by its normal density
            chance = norm.cdf((900 + buffer - 100 * days) / (20 * math.sqrt(days)))
            return float(chance * norm.pdf(days, 9, 2))

        assert norm.cdf(buffer / SIGMA_G) == pytest.approx(joint, abs=5e-5)  # one normal for all
        assert quad(covered, 1e-6, 30)[0] == pytest.approx(exact, abs=5e-5)

    def test_empirical_joins_past_errors_and_lead_time(self) -> None:
        # hypot(98.7, 1.6449 * 200) = hypot(98.7, 328.97) = 343.46
        found = safety_stock(
            cycle_service_level=0.95,
            method=SafetyStockMethod.EMPIRICAL,
            empirical_buffer=98.69,
            **G,
        )

        assert found == pytest.approx(343.46, abs=0.02)

    def test_empirical_needs_past_errors(self) -> None:
        with pytest.raises(InvalidInput, match="past errors"):
            safety_stock(cycle_service_level=0.95, method=SafetyStockMethod.EMPIRICAL, **G)

    @pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.1, math.nan])
    def test_refuses_a_level_outside_0_to_1(self, level: float) -> None:
        with pytest.raises(InvalidInput, match="service level"):
            safety_stock(cycle_service_level=level, **G)

    @pytest.mark.parametrize("name", list(G))
    @pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
    def test_refuses_what_is_not_a_number_from_0(self, name: str, value: float) -> None:
        with pytest.raises(InvalidInput):
            safety_stock(cycle_service_level=0.95, **(G | {name: value}))

    @given(low=st.floats(0.5, 0.99), more=st.floats(0.0001, 0.0099))
    def test_grows_with_the_service_level(self, low: float, more: float) -> None:
        assert safety_stock(cycle_service_level=low, **G) < safety_stock(
            cycle_service_level=low + more, **G
        )


class TestReorderPoint:
    def test_of_fixture_g_is_rounded_up(self) -> None:
        assert reorder_point(one_row(service_rate=0.95, **G)) == 1244  # 1243.46

    def test_periodic_review_is_the_order_up_to_level(self) -> None:
        assert reorder_point(one_row(service_rate=0.95, review_period=7, **G)) == 1955  # 1954.31

    def test_promotion_scales_demand_and_its_error(self) -> None:
        promoted = G | {"demand_mean": 140.0, "demand_sd": 28.0}

        assert reorder_point(one_row(service_rate=0.95, **promoted)) == 1741  # 1740.8

    def test_longer_lead_time(self) -> None:
        late = G | {"lead_time_mean": 16.0}

        assert reorder_point(one_row(service_rate=0.95, **late)) == 1955  # 1954.3

    def test_takes_the_sum_of_a_forecast_that_is_not_flat(self) -> None:
        # 880 over the window instead of 900: 880 + 343.46
        assert reorder_point(one_row(service_rate=0.95, demand_total=880.0, **G)) == 1224

    def test_without_demand_nothing_is_needed(self) -> None:
        nothing: dict[str, Any] = dict.fromkeys(G, 0.0)

        assert reorder_point(one_row(service_rate=0.95, **nothing)) == 0

    def test_slow_mover_takes_the_poisson_quantile(self) -> None:
        # mean 2.5: P(X <= 5) = 0.958 >= 0.95
        inputs = one_row(
            service_rate=0.95, demand_mean=2.5, demand_sd=math.sqrt(2.5), lead_time_mean=1,
            lead_time_sd=0,
        )  # fmt: skip

        numbers = reorder_points(inputs)

        assert (numbers.reorder_point[0], numbers.distribution[0]) == (5, "poisson")

    def test_lumpy_mover_takes_the_negative_binomial_quantile(self) -> None:
        # mean 6, variance 24: P(X <= 16) = 0.9605
        inputs = one_row(
            service_rate=0.95, demand_mean=6, demand_sd=math.sqrt(24), lead_time_mean=1,
            lead_time_sd=0,
        )  # fmt: skip

        numbers = reorder_points(inputs)

        assert (numbers.reorder_point[0], numbers.distribution[0]) == (16, "negative_binomial")

    @pytest.mark.parametrize(
        ("mean", "variance", "level", "share"), [(2.5, 2.5, 5, 0.958), (6, 24, 16, 0.9605)]
    )
    def test_the_share_that_a_count_level_covers(
        self, mean: float, variance: float, level: float, share: float
    ) -> None:
        found = count_cdf(_one(level), _one(mean), _one(variance))[0]

        assert found == pytest.approx(share, abs=5e-4)

    @pytest.mark.parametrize(
        ("mean", "variance", "plain", "point"), [(2.5, 2.5, 5.1, 6), (6, 24, 14.06, 15)]
    )
    def test_the_normal_would_say_otherwise(
        self, mean: float, variance: float, plain: float, point: int
    ) -> None:
        inputs = one_row(
            service_rate=0.95, demand_mean=mean, demand_sd=math.sqrt(variance), lead_time_mean=1,
            lead_time_sd=0, method=SafetyStockMethod.DEMAND_ONLY,
        )  # fmt: skip

        numbers = reorder_points(inputs)

        assert mean + numbers.safety_stock[0] == pytest.approx(plain, abs=5e-3)
        assert (numbers.reorder_point[0], numbers.distribution[0]) == (point, "normal")

    def test_intermittent_demand_is_discrete_however_large(self) -> None:
        numbers = reorder_points(one_row(service_rate=0.95, adi=1.4, **G))

        assert numbers.distribution[0] == "negative_binomial"

    def test_fill_rate_of_a_slow_mover_meets_the_allowed_shortage(self) -> None:
        inputs = one_row(
            service_rate=0.98, demand_mean=4, demand_sd=3, lead_time_mean=1, lead_time_sd=0,
            measure=ServiceMeasure.FILL_RATE, order_quantity=10,
        )  # fmt: skip

        point = reorder_points(inputs).reorder_point.astype(float)

        assert (
            count_loss(point, _one(4), _one(9))[0]
            <= 0.2
            < count_loss(point - 1, _one(4), _one(9))[0]
        )

    @settings(max_examples=60)
    @given(
        mean=st.floats(0.05, 40),
        ratio=st.floats(0.5, 6),
        low=st.floats(0.55, 0.99),
        more=st.floats(0, 0.0099),
        adi=st.floats(1, 5),
    )
    def test_never_falls_when_the_service_level_rises(
        self, mean: float, ratio: float, low: float, more: float, adi: float
    ) -> None:
        rest: dict[str, Any] = {
            "demand_mean": mean,
            "demand_sd": math.sqrt(mean * ratio),
            "adi": adi,
        }
        rest |= {"lead_time_mean": 4.0, "lead_time_sd": 1.0}

        assert reorder_point(one_row(service_rate=low, **rest)) <= reorder_point(
            one_row(service_rate=low + more, **rest)
        )

    def test_many_rows_give_what_each_gives_alone(self) -> None:
        rows = [
            one_row(service_rate=0.95, **G),
            one_row(
                service_rate=0.9, demand_mean=0.4, demand_sd=1, lead_time_mean=5, lead_time_sd=1
            ),
            one_row(service_rate=0.98, measure=ServiceMeasure.FILL_RATE, order_quantity=400.0, **G),
        ]

        joined = {
            f.name: np.concatenate([getattr(row, f.name) for row in rows])
            for f in fields(PolicyInputs)
        }
        together = reorder_points(PolicyInputs(**joined))

        assert together.reorder_point.tolist() == [reorder_point(row) for row in rows]


class TestFillRate:
    @pytest.mark.parametrize(
        ("quantity", "expected"), [(100, 408.2), (400, 288.2), (1000, 193.3), (4000, 6.7)]
    )
    def test_98_percent_on_fixture_g(self, quantity: float, expected: float) -> None:
        found = fill_rate_safety_stock(fill_rate=0.98, order_quantity=quantity, sigma_ltd=SIGMA_G)

        assert found == pytest.approx(expected, abs=0.1)

    @pytest.mark.parametrize(
        ("quantity", "cycles"), [(100, 0.975), (400, 0.916), (1000, 0.823), (4000, 0.513)]
    )
    def test_a_98_percent_fill_rate_is_another_cycle_service(
        self, quantity: float, cycles: float
    ) -> None:
        buffer = fill_rate_safety_stock(fill_rate=0.98, order_quantity=quantity, sigma_ltd=SIGMA_G)

        assert norm.cdf(buffer / SIGMA_G) == pytest.approx(cycles, abs=5e-4)

    @pytest.mark.parametrize(
        ("quantity", "share"), [(100, 0.9564), (400, 0.9891), (1000, 0.9956), (4000, 0.9989)]
    )
    def test_95_percent_cycles_give_another_fill_rate(self, quantity: float, share: float) -> None:
        short = SIGMA_G * float(normal_loss(z(0.95)))

        assert 1 - short / quantity == pytest.approx(share, abs=5e-5)

    def test_lost_sales_allow_a_little_more(self) -> None:
        # G(k) = Q * (1 - b) / b / sigma = 400 * 0.02 / 0.98 / 208.81 = 0.039094
        lost = fill_rate_safety_stock(
            fill_rate=0.98, order_quantity=400, sigma_ltd=SIGMA_G, is_lost_sales=True
        )

        assert float(normal_loss(lost / SIGMA_G)) == pytest.approx(0.039094, abs=1e-5)

    def test_needs_an_order_quantity(self) -> None:
        with pytest.raises(InvalidInput, match="order quantity"):
            fill_rate_safety_stock(fill_rate=0.98, order_quantity=0, sigma_ltd=SIGMA_G)

    def test_a_negative_buffer_is_floored_and_reported(self) -> None:
        numbers = reorder_points(
            one_row(service_rate=0.9, measure=ServiceMeasure.FILL_RATE, order_quantity=9000, **G)
        )

        assert numbers.is_floored[0]
        assert numbers.reorder_point[0] == 900


class TestDistributions:
    def test_normal_loss_as_in_stockpyl(self) -> None:
        from stockpyl.loss_functions import standard_normal_loss

        points = [-2.0, -0.5, 0.0, 1.3, 3.0]

        ours = normal_loss(np.array(points))

        assert ours == pytest.approx([standard_normal_loss(k)[0] for k in points], abs=1e-9)
        assert float(normal_loss(1.3)) == pytest.approx(0.045528, abs=5e-7)

    @given(st.floats(-4, 5))
    def test_inverse_loss_undoes_the_loss(self, k: float) -> None:
        assert float(inverse_normal_loss(normal_loss(k))) == pytest.approx(k, abs=1e-6)

    def test_count_quantile_and_loss_as_in_scipy(self) -> None:
        from scipy.stats import nbinom, poisson

        mean, variance = 7.3, 19.1
        frozen = nbinom(mean**2 / (variance - mean), mean / variance)
        loss = float(frozen.expect(lambda x: np.maximum(x - 9, 0)))

        assert count_quantile(_one(0.97), _one(mean), _one(variance))[0] == frozen.ppf(0.97)
        assert count_loss(_one(9), _one(mean), _one(variance))[0] == pytest.approx(loss, abs=1e-6)
        assert count_quantile(_one(0.97), _one(mean), _one(mean))[0] == poisson(mean).ppf(0.97)
        assert count_cdf(_one(-1), _one(mean), _one(mean))[0] == 0

    @pytest.mark.parametrize("units", [0, 1, 4])
    def test_poisson_loss_by_hand(self, units: int) -> None:
        # E[(X - s)+] = sum of (x - s) P(x)
        chances = [math.exp(-2) * 2**x / math.factorial(x) for x in range(60)]
        expected = sum(max(x - units, 0) * p for x, p in enumerate(chances))

        assert count_loss(_one(units), _one(2), _one(2))[0] == pytest.approx(expected, abs=1e-9)

    def test_level_for_a_loss_is_the_smallest(self) -> None:
        found = count_level_for_loss(_one(0.1), _one(4), _one(9))

        assert count_loss(found, _one(4), _one(9))[0] <= 0.1
        assert count_loss(found - 1, _one(4), _one(9))[0] > 0.1


class TestLots:
    def test_eoq_of_the_domain_page(self) -> None:
        lot = eoq(annual_demand=36_500, order_cost=50, holding_cost=2)

        assert lot.quantity == pytest.approx(1350.93, abs=0.005)
        assert lot.annual_cost == pytest.approx(2701.85, abs=0.005)

    def test_all_units_discount(self) -> None:
        lot = all_units_lot(annual_demand=36_500, order_cost=50, carrying_rate=0.25, breaks=BREAKS)

        assert lot.quantity == 5000
        assert lot.annual_cost == pytest.approx(282_515.0)

    def test_incremental_discount(self) -> None:
        lot = incremental_lot(
            annual_demand=36_500, order_cost=50, carrying_rate=0.25, breaks=BREAKS
        )

        assert lot.quantity == pytest.approx(3059.24, abs=0.01)
        assert lot.annual_cost == pytest.approx(290_690.53, abs=0.01)

    def test_discounts_as_in_stockpyl(self) -> None:
        from stockpyl.eoq import (
            economic_order_quantity_with_all_units_discounts,
            economic_order_quantity_with_incremental_discounts,
        )

        terms = (50, 0.25, 36_500, [0, 1000, 5000], [8.00, 7.80, 7.60])
        q_all, _, cost_all = economic_order_quantity_with_all_units_discounts(*terms)
        q_inc, _, cost_inc = economic_order_quantity_with_incremental_discounts(*terms)
        rest: dict[str, Any] = {"annual_demand": 36_500, "order_cost": 50, "carrying_rate": 0.25}

        ours_all = all_units_lot(breaks=BREAKS, **rest)
        ours_inc = incremental_lot(breaks=BREAKS, **rest)

        assert (ours_all.quantity, ours_all.annual_cost) == pytest.approx((q_all, cost_all))
        assert (ours_inc.quantity, ours_inc.annual_cost) == pytest.approx((q_inc, cost_inc))

    @settings(max_examples=40)
    @given(
        demand=st.integers(100, 50_000), cost=st.integers(5, 400), rate=st.floats(0.1, 0.5),
        first=st.integers(50, 900), second=st.integers(901, 6000), fall=st.floats(0.01, 0.3),
    )  # fmt: skip
    def test_no_whole_quantity_beats_the_all_units_lot(
        self, demand: int, cost: int, rate: float, first: int, second: int, fall: float
    ) -> None:
        breaks = [(0, 10.0), (first, 10.0 - fall), (second, 10.0 - 2 * fall)]
        lot = all_units_lot(
            annual_demand=demand, order_cost=cost, carrying_rate=rate, breaks=breaks
        )
        quantities = np.arange(1, 12_000)
        price = np.select(
            [quantities >= second, quantities >= first], [breaks[2][1], breaks[1][1]], 10
        )
        totals = demand * price + demand * cost / quantities + rate * price * quantities / 2

        assert lot.annual_cost <= totals.min() + 1e-6

    @pytest.mark.parametrize("breaks", [[], [(5, 1.0)], [(0, 1.0), (0, 0.9)], [(0, 1.0), (9, 1.1)]])
    def test_refuses_unordered_breaks(self, breaks: list[tuple[float, float]]) -> None:
        with pytest.raises(InvalidInput, match="price breaks"):
            all_units_lot(annual_demand=1, order_cost=1, carrying_rate=0.2, breaks=breaks)

    def test_refuses_free_holding(self) -> None:
        with pytest.raises(InvalidInput, match="holding cost"):
            eoq(annual_demand=1, order_cost=1, holding_cost=0)


class TestOrderQuantity:
    @pytest.mark.parametrize(
        ("need", "expected"), [(1, 60), (49, 60), (50, 60), (51, 60), (60, 60), (61, 72), (0, 0)]
    )
    def test_moq_50_multiple_12(self, need: int, expected: int) -> None:
        assert order_quantity(need, moq=50, multiple=12) == expected

    def test_of_fixture_p(self) -> None:
        assert order_quantity(1804, moq=500, multiple=120) == 1920

    @given(need=st.integers(-100, 100_000), moq=st.integers(0, 5000), multiple=st.integers(1, 500))
    def test_covers_the_need_in_whole_multiples(self, need: int, moq: int, multiple: int) -> None:
        found = order_quantity(need, moq=moq, multiple=multiple)

        assert found % multiple == 0
        assert found == 0 if need <= 0 else found >= max(need, moq)
        assert found < max(need, moq, 0) + multiple

    @given(need=st.integers(0, 9000), extra=st.integers(0, 900), multiple=st.integers(1, 99))
    def test_a_larger_need_never_orders_less(self, need: int, extra: int, multiple: int) -> None:
        smaller = order_quantity(need, moq=50, multiple=multiple)

        assert smaller <= order_quantity(need + extra, moq=50, multiple=multiple)

    def test_the_limit_cuts_to_a_multiple(self) -> None:
        assert order_quantity(1804, moq=500, multiple=120, limit=1000) == 960

    def test_no_multiple_between_minimum_and_limit_orders_nothing(self) -> None:
        assert order_quantity(1, moq=50, multiple=12, limit=55) == 0

    @pytest.mark.parametrize("terms", [{"moq": -1}, {"multiple": 0}, {"moq": 9, "limit": 5}])
    def test_refuses_impossible_terms(self, terms: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput, match="order terms"):
            order_quantity(10, **terms)


class TestPriceBreak:
    def _raised(self, limit: int, break_price: float) -> int:
        found = raised_to_break(
            np.array([1920]), price=_one(7.80), break_quantities=np.array([[0, 5040]]),
            break_prices=np.array([[7.80, break_price]]), order_limit=np.array([limit]),
            demand_mean=_one(100), carrying_rate=0.25,
        )  # fmt: skip
        return int(found[0])

    def test_is_taken_when_the_saving_exceeds_the_holding(self) -> None:
        # saves 0.20 * 5040 = 1008; holds 0.25 * 7.60 * (5040**2 - 1920**2) / 73000 = 565
        assert self._raised(NO_LIMIT, 7.60) == 5040

    def test_is_left_when_holding_costs_more(self) -> None:
        # saves 0.05 * 5040 = 252; holds 0.25 * 7.75 * 21715200 / 73000 = 576
        assert self._raised(NO_LIMIT, 7.75) == 1920

    def test_is_left_when_the_cover_would_be_too_long(self) -> None:
        assert self._raised(5039, 7.60) == 1920

    def test_the_next_break_does_not_hide_the_one_behind_it(self) -> None:
        # 600 at 10.00: 700 at 9.99 saves 7, 800 at 5.00 saves 4,000; both hold next to nothing
        found = raised_to_break(
            np.array([600, 0]), price=np.array([10.0, 10.0]),
            break_quantities=np.array([[700, 800], [700, 800]]),
            break_prices=np.array([[9.99, 5.0], [9.99, 5.0]]),
            order_limit=np.array([NO_LIMIT, NO_LIMIT]), demand_mean=np.array([100.0, 100.0]),
            carrying_rate=0.25,
        )  # fmt: skip

        assert found.tolist() == [800, 0]


class TestPacks:
    def test_round_up_once(self) -> None:
        assert packs_for_units(1500, 120) == Packs(13, 1560)
        assert packs_for_units(1560, 120) == Packs(13, 1560)
        assert packs_for_units(0, 120) == Packs(0, 0)
