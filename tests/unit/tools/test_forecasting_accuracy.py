import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.errors import InvalidInput
from tools.forecasting.core import accuracy

ACTUAL = [100, 120, 90, 110, 95, 130]
FORECAST = [110, 115, 105, 118, 108, 128]
COUNTS = st.lists(st.integers(0, 10_000), min_size=8, max_size=30)


def test_golden_numbers_of_the_domain() -> None:
    assert accuracy.wmape(ACTUAL, FORECAST) == pytest.approx(0.0822, abs=5e-5)
    assert accuracy.bias(ACTUAL, FORECAST) == pytest.approx(0.0605, abs=5e-5)
    assert accuracy.mae(ACTUAL, FORECAST) == pytest.approx(8.833, abs=5e-4)
    assert accuracy.tracking_signal(ACTUAL, FORECAST) == pytest.approx(-4.415, abs=5e-4)
    assert abs(accuracy.tracking_signal(ACTUAL, FORECAST)) > accuracy.ALARM  # though WMAPE is good


def test_mape_explodes_on_a_small_actual_and_wmape_does_not() -> None:
    assert accuracy.mape([1000, 10], [950, 25]) == pytest.approx(0.775)
    assert accuracy.wmape([1000, 10], [950, 25]) == pytest.approx(0.0644, abs=5e-5)


def test_hand_computed_measures() -> None:
    # errors -10, 5: rmse sqrt((100 + 25) / 2); smape (2*10/210 + 2*5/235) / 2
    assert accuracy.rmse([100, 120], [110, 115]) == pytest.approx(math.sqrt(62.5))
    assert accuracy.smape([100, 120], [110, 115]) == pytest.approx((20 / 210 + 10 / 235) / 2)
    # history 1, 3, 2: steps 2, -1, so the naive error is 1.5 and the squared one 2.5
    assert accuracy.mase([100, 120], [110, 115], history=[1, 3, 2]) == pytest.approx(7.5 / 1.5)
    assert accuracy.rmsse([4], [6], history=[1, 3, 2]) == pytest.approx(math.sqrt(4 / 2.5))
    # above the quantile costs 0.95 a unit, below it 0.05: (0.95 * 10 + 0.05 * 20) / 2
    assert accuracy.pinball([110, 80], [100, 100], level=0.95) == pytest.approx(5.25)
    assert accuracy.coverage([1, 5, 9, 20], [0, 6, 5, 10], [2, 9, 9, 19]) == 0.5


def test_an_undefined_measure_is_not_a_number_instead_of_perfect() -> None:
    assert math.isnan(accuracy.mape([0, 1], [0, 1]))
    assert math.isnan(accuracy.wmape([0, 0], [1, 1]))
    assert math.isnan(accuracy.mase([5], [5], history=[2, 2, 2]))
    assert math.isnan(accuracy.tracking_signal([5], [5]))
    assert accuracy.smape([0], [0]) == 0.0


def test_refuses_shapes_that_differ() -> None:
    with pytest.raises(InvalidInput, match="shape"):
        accuracy.mae([1, 2], [1])
    with pytest.raises(InvalidInput, match=r"1\.5"):
        accuracy.pinball([1], [1], level=1.5)
    with pytest.raises(InvalidInput, match="season"):
        accuracy.mase([1], [1], history=[1, 2], season_length=7)


@given(actual=COUNTS)
def test_a_perfect_forecast_has_no_error(actual: list[int]) -> None:
    assert accuracy.mae(actual, actual) == accuracy.rmse(actual, actual) == 0
    assert accuracy.coverage(actual, actual, actual) == 1


@given(actual=COUNTS, shift=st.integers(1, 100))
def test_bias_has_the_sign_of_over_forecasting(actual: list[int], shift: int) -> None:
    actual = [*actual, 1]
    over = [value + shift for value in actual]

    assert accuracy.bias(actual, over) > 0
    assert accuracy.tracking_signal(actual, over) == pytest.approx(-len(actual))


def test_agrees_with_utilsforecast() -> None:
    losses = pytest.importorskip("utilsforecast.losses")
    import pandas as pd

    random = np.random.default_rng(7)
    history, actual = random.poisson(20, 60), random.poisson(20, 28)
    forecast, quantile = random.uniform(10, 30, 28), random.uniform(20, 40, 28)
    frame = pd.DataFrame({"unique_id": 1, "ds": range(28), "y": actual, "m": forecast})
    train = pd.DataFrame({"unique_id": 1, "ds": range(60), "y": history})

    def oracle(name: str, **more: object) -> float:
        return float(getattr(losses, name)(frame, models=["m"], **more)["m"].iloc[0])

    season = {"seasonality": 7, "train_df": train}
    assert accuracy.mae(actual, forecast) == pytest.approx(oracle("mae"))
    assert accuracy.rmse(actual, forecast) == pytest.approx(oracle("rmse"))
    assert accuracy.mape(actual, forecast) == pytest.approx(oracle("mape"))
    assert accuracy.smape(actual, forecast) == pytest.approx(
        2 * oracle("smape")
    )  # theirs in [0, 1]
    assert accuracy.mase(actual, forecast, history=history, season_length=7) == pytest.approx(
        oracle("mase", **season)
    )
    assert accuracy.rmsse(actual, forecast, history=history, season_length=7) == pytest.approx(
        oracle("rmsse", **season)
    )
    pinned = frame.assign(m=quantile)
    expected = losses.quantile_loss(pinned, models={"m": "m"}, q=0.95)["m"].iloc[0]
    assert accuracy.pinball(actual, quantile, level=0.95) == pytest.approx(expected)
