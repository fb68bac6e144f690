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
    assert accuracy.coverage([1, 5, 9, 20], [0, 6, 5, 10], [2, 9, 9, 19]) == 0.5


def test_an_undefined_measure_is_not_a_number_instead_of_perfect() -> None:
    assert math.isnan(accuracy.mape([0, 1], [0, 1]))
    assert math.isnan(accuracy.wmape([0, 0], [1, 1]))
    assert math.isnan(accuracy.tracking_signal([5], [5]))


def test_refuses_shapes_that_differ() -> None:
    with pytest.raises(InvalidInput, match="shape"):
        accuracy.mae([1, 2], [1])


@given(actual=COUNTS)
def test_a_perfect_forecast_has_no_error(actual: list[int]) -> None:
    assert accuracy.mae(actual, actual) == 0
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
    actual, forecast = random.poisson(20, 28), random.uniform(10, 30, 28)
    frame = pd.DataFrame({"unique_id": 1, "ds": range(28), "y": actual, "m": forecast})

    def oracle(name: str) -> float:
        return float(getattr(losses, name)(frame, models=["m"])["m"].iloc[0])

    assert accuracy.mae(actual, forecast) == pytest.approx(oracle("mae"))
    assert accuracy.mape(actual, forecast) == pytest.approx(oracle("mape"))
