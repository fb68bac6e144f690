"""What a price that is known in advance adds: LightGBM on weekly avocado sales with and without it.

The last windows of 8 weeks, forecast from what was known before each; the same model, features and
trees, with and without prices, those of the weeks to come included. Beside it the median of
statistical models, which cannot use a price.

    python -m bench.ml FILE      makes the file of ``data/`` again from the published set

Data: the last 156 weeks of 400 series (market and product) with price; Hass Avocado Board through
the R package avocado 0.2.0, MIT.
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from holidays import country_holidays

from tools.forecasting.core import accuracy, methods
from tools.forecasting.core.features import FloatArray, Known
from tools.forecasting.core.ml import learn

DATA = Path(__file__).parent / "data" / "avocado_prices.parquet"
HORIZON, WINDOWS, WEEKS = 8, 3, 156
LEVELS = (0.05, 0.95)


def run() -> list[dict[str, Any]]:
    """Compare on every series."""
    units, price, categories, until = _panel()
    begun = time.perf_counter()
    errors: dict[str, list[float]] = {"price": [], "without": [], "median": []}
    covered = []
    free = list(country_holidays("US", years=range(2020, 2026)))
    for window in range(WINDOWS, 0, -1):
        end = units.shape[1] - HORIZON * window
        past, sold = units[:, :end], units[:, end : end + HORIZON]
        day = (until - pd.Timedelta(weeks=HORIZON * window)).date()
        asked: dict[str, Any] = {"horizon": HORIZON, "until": day, "period_days": 7}
        with_price = learn(
            past,
            **asked,
            levels=LEVELS,
            known=Known(price[:, : end + HORIZON], None, categories, free),
        )
        without = learn(past, **asked, known=Known(None, None, categories, free))
        plain = methods.forecasts(
            past, horizon=HORIZON, models=("ses", "imapa", "window"), season=methods.WEEKLY
        )
        for name, made in (("price", with_price.median), ("without", without.median),
                           ("median", plain)):  # fmt: skip
            errors[name].append(accuracy.wmape(sold.ravel(), made.ravel()))
        low, high = with_price.quantiles[..., 0], with_price.quantiles[..., 1]
        covered.append(float(((sold >= low) & (sold <= high)).mean()))
    found = {name: float(np.mean(values)) for name, values in errors.items()}
    ratio = found["price"] / found["without"]
    took = time.perf_counter() - begun
    return [
        _row("WMAPE of weeks, LightGBM with known price", found["price"], "", "", True),
        _row("the same without price", found["without"], "", "", True),
        _row("the same, median of statistical models", found["median"], "", "", True),
        _row("with price / without", ratio, "x", "< 1", ratio < 1),
        _row("90 % quantiles of a week cover", float(np.mean(covered)), "", "", True),
        _row(f"{WINDOWS} windows, {len(units)} series", took, "s", "", True),
    ]


def _panel() -> tuple[FloatArray, FloatArray, list[str], pd.Timestamp]:
    """Last weeks of every series: units, price, kind of fruit, and the last day."""
    frame = pd.read_parquet(DATA)
    wide = {
        name: frame.pivot_table(
            index=["market", "sku"], columns="week", values=name, aggfunc="sum", observed=True
        )
        for name in ("units", "price")
    }
    until = pd.Timestamp(frame["week"].max())
    weeks = pd.date_range(end=until, periods=WEEKS, freq="7D")
    units = wide["units"].reindex(columns=weeks).to_numpy(float)
    price = wide["price"].reindex(columns=weeks).to_numpy(float)
    known = np.isfinite(units).sum(axis=1) > WEEKS / 2
    categories = [str(sku) for _, sku in wide["units"].index[known]]
    return np.nan_to_num(units[known]), price[known], categories, until


def _row(name: str, value: float, unit: str, goal: str, holds: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "goal": goal, "holds": holds}


def make(source: str) -> None:
    """Keep the weeks that are used."""
    frame = pd.read_parquet(source)
    first = frame["week"].max() - pd.Timedelta(weeks=WEEKS - 1)
    kept = frame.loc[frame["week"] >= first, ["market", "sku", "week", "units", "price"]]
    kept.to_parquet(DATA, compression="zstd", index=False)


if __name__ == "__main__":
    make(sys.argv[1])
