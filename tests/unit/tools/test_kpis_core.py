"""Key figures: value, target, and nothing where there are no data."""

import pytest

from tools.kpis import core


def test_stockout_rate_of_the_domain_page() -> None:
    kpi = core.stockout_rate(41, 1575)

    assert (kpi.value, kpi.holds, kpi.numerator, kpi.denominator) == (2.6, False, 41, 1575)


def test_accuracy_is_weighted_by_demand() -> None:
    # DOMAIN: A = 1000 and 10, F = 950 and 25: WMAPE 65 / 1010 = 6.44 % -> 93.6 %
    kpi = core.forecast_accuracy([(50 / 1000, 1000.0), (15 / 10, 10.0)])

    assert (kpi.value, kpi.holds) == (93.6, True)


def test_accuracy_has_a_floor() -> None:
    assert core.forecast_accuracy([(3.0, 10.0)]).value == 0.0


def test_cycle_time_is_the_median() -> None:
    kpi = core.po_cycle_time([5.0, 19.0, 90.0])

    assert (kpi.value, kpi.holds) == (19.0, True)


@pytest.mark.parametrize(
    "kpi",
    [
        core.stockout_rate(0, 0),
        core.fill_rate(),
        core.forecast_accuracy([]),
        core.po_cycle_time([]),
        core.days_of_supply(100, 0.0, 90),
        core.carrying_cost_share(100, 0.25, 0.0, 90),
        core.supplier_otif(None, 0, 0),
        core.excess_value(None, 0, "USD"),
    ],
    ids=lambda kpi: kpi.name,
)
def test_without_data_there_is_a_reason_and_no_number(kpi: core.Kpi) -> None:
    assert kpi.value is None
    assert kpi.holds is None
    assert kpi.reason


def test_inventory_money() -> None:
    # 1,310,000.00 at 25 % = 327,500.00; of 8,000,000.00 revenue a year: 4.1 %
    value = 131_000_000
    yearly = 800_000_000

    assert core.carrying_cost(value, 0.25, "USD").value == 327_500.00
    assert core.carrying_cost_share(value, 0.25, yearly * 90 / 365, 90).value == 4.1
    assert core.days_of_supply(value, 90 * 1_310_000, 90).value == 100.0
