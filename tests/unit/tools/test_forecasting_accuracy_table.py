"""Accuracy by class: hand computations, and independent libraries as a check."""

import numpy as np
import pytest

from tools.errors import InvalidInput
from tools.forecasting.core import accuracy
from tools.forecasting.core.accuracy import Outcome, accuracy_table

# Two series, two periods. Errors: -10, +20 (actual minus forecast) and 0, +5.
ACTUAL = np.array([[100.0, 120.0], [0.0, 10.0]])
FORECAST = np.array([[110.0, 100.0], [0.0, 5.0]])
NAIVE = np.array([[90.0, 90.0], [10.0, 0.0]])
PAST = np.array([[80.0, 100.0, 90.0], [np.nan, 5.0, 10.0]])


def _outcome(**changes: np.ndarray) -> Outcome:
    usual = {
        "actual": ACTUAL, "forecast": FORECAST, "naive": NAIVE, "past": PAST,
        "low": np.array([200.0, 12.0]), "high": np.array([260.0, 20.0]),
        "quantile": np.array([250.0, 8.0]),
    }  # fmt: skip
    return Outcome(**(usual | changes))  # type: ignore[arg-type]


class TestTable:
    def test_hand_computed_row(self) -> None:
        (row,) = accuracy_table(_outcome())

        assert (row.group, row.series) == ("all", 2)
        assert row.mae == pytest.approx(35 / 4)
        assert row.rmse == pytest.approx(((100 + 400 + 25) / 4) ** 0.5)
        assert row.wmape == pytest.approx(35 / 230)
        # Steps of the past: 20, 10 and 5; errors a period 15 and 2.5: (15 / 15 + 2.5 / 5) / 2
        assert row.mase == pytest.approx(0.75)
        # squared: (100 + 400) / 2 over (400 + 100) / 2, and 12.5 over 25
        assert row.rmsse == pytest.approx((1 + 0.5**0.5) / 2)
        # totals 220 and 10 against 210 and 5
        assert row.total_wmape == pytest.approx(15 / 230)
        assert row.bias == pytest.approx(-15 / 230)
        # 0.05 * 30 and 0.95 * 2, mean 1.7, over the mean total of 115
        assert row.pinball == pytest.approx(1.7 / 115)
        assert row.coverage == 0.5  # 220 lies in 200-260, 10 below 12
        assert row.naive_mase == pytest.approx((20 / 15 + 10 / 5) / 2)

    def test_groups_follow_all_and_mape_is_given_where_it_is_defined(self) -> None:
        rows = accuracy_table(_outcome(), ["smooth", "lumpy"])

        assert [row.group for row in rows] == ["all", "lumpy", "smooth"]
        assert [row.mape for row in rows[:2]] == [None, None]  # a period sold nothing
        assert rows[2].mape == pytest.approx((10 / 100 + 20 / 120) / 2)

    def test_a_history_that_never_changed_scales_nothing(self) -> None:
        (row,) = accuracy_table(_outcome(past=np.full((2, 3), 4.0)))

        assert row.mase is row.rmsse is row.naive_mase is None
        assert row.wmape is not None

    def test_nothing_sold_leaves_relative_measures_undefined(self) -> None:
        (row,) = accuracy_table(_outcome(actual=np.zeros((2, 2))))

        assert row.wmape is row.bias is row.pinball is row.total_wmape is None
        assert row.mae > 0

    def test_refuses_groups_that_do_not_fit(self) -> None:
        with pytest.raises(InvalidInput, match="1 groups for 2 series"):
            accuracy_table(_outcome(), ["smooth"])

    def test_windows_are_joined(self) -> None:
        twice = accuracy.joined([_outcome(), _outcome()])

        (row,) = accuracy_table(twice)

        assert row.series == 4
        assert row.mase == pytest.approx(0.75)


def test_the_naive_forecast_repeats_the_last_season() -> None:
    past = np.array([[np.nan, np.nan, 3.0, 4.0]])

    said = accuracy.seasonal_naive(past, season_length=3, horizon=4)

    assert said.tolist() == [[0.0, 3.0, 4.0, 0.0]]


@pytest.mark.parametrize("level", [0.0, 1.0, -2.0])
def test_refuses_a_level_that_is_no_probability(level: float) -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        accuracy.pinball([1], [1], level=level)


def test_agrees_with_utilsforecast() -> None:
    losses = pytest.importorskip("utilsforecast.losses")
    import pandas as pd

    random = np.random.default_rng(7)
    actual, said = random.poisson(20, 60), random.uniform(10, 30, 60)
    frame = pd.DataFrame({"unique_id": 1, "ds": range(60), "y": actual, "m": said})

    rmse = losses.rmse(frame, models=["m"])["m"].iloc[0]
    pinball = losses.quantile_loss(frame, models={"m": "m"}, q=0.95)["m"].iloc[0]

    assert accuracy.rmse(actual, said) == pytest.approx(rmse)
    assert accuracy.pinball(actual, said, level=0.95) == pytest.approx(pinball)


@pytest.mark.parametrize("lag", [1, 7])
def test_scaled_errors_agree_with_utilsforecast(lag: int) -> None:
    losses = pytest.importorskip("utilsforecast.losses")
    import pandas as pd

    random = np.random.default_rng(8)
    units, said = random.poisson(9, (3, 60)).astype(float), random.uniform(5, 12, (3, 10))
    past, actual = units[:, :50], units[:, 50:]

    def frame(values: np.ndarray, name: str, first: int) -> pd.DataFrame:
        row, at = np.indices(values.shape)
        return pd.DataFrame(
            {"unique_id": row.ravel(), "ds": at.ravel() + first, name: values.ravel()}
        )

    came = frame(actual, "y", 50).assign(m=said.ravel())
    train = frame(past, "y", 0)
    for power, name in ((1, "mase"), (2, "rmsse")):
        theirs = getattr(losses, name)(came, models=["m"], seasonality=lag, train_df=train)["m"]
        ours = accuracy.scaled_errors(actual, said, past, lag=lag, power=power)
        assert ours == pytest.approx(theirs.to_numpy())
