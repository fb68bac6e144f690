"""Prophet behind the common interface; the fits run where it is installed."""

import sys
from datetime import date

import numpy as np
import pytest

from tools.errors import InvalidInput
from tools.forecasting.core.features import Known
from tools.forecasting.core.prophet import prophet_forecasts

UNTIL = date(2026, 3, 1)


def test_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prophet", None)

    with pytest.raises(InvalidInput, match="not installed") as refused:
        prophet_forecasts(np.ones((2, 60)), horizon=7, until=UNTIL)
    assert refused.value.next_step.startswith("pip install prophet")


@pytest.mark.filterwarnings("ignore")
def test_follows_the_week_and_a_known_price() -> None:
    pytest.importorskip("prophet")
    price = np.full((2, 127), 10.0)
    price[:, ::5] = 8.0
    week = np.array([5.0, 5, 5, 5, 5, 15, 15])[(np.arange(127) + 2) % 7]  # 2 March is a Monday
    units = np.outer([1.0, 10.0], week) + np.where(price < 9, 3.0, 0.0) * [[1.0], [10.0]]

    made = prophet_forecasts(units[:, :120], horizon=7, until=UNTIL, known=Known(price=price))

    assert made == pytest.approx(units[:, 120:], rel=0.1)
