"""Real demand on which forecasts are judged: a shop's days, markets' weeks, spare parts' months.

    python -m bench.accuracy_data FOLDER     makes the two files of ``data/`` again from the
                                             published sets (avocado_weekly.parquet,
                                             carparts_monthly.parquet)

* retail: the 300 items of ``bench.panel``, daily, 374 days.
* avocado: 321 series (market and product) on sale in all of 418 weeks; the weeks that the source
  misses are interpolated. Hass Avocado Board through the R package avocado 0.2.0, MIT.
* carparts: 500 spare parts without missing months, with sales in 8 months or more, 51 months.
  Monash archive, "Car Parts" (Zenodo 4656022), CC BY 4.0; Hyndman et al. (2008).
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench import panel
from tools.demand.core import Grain

Floats = npt.NDArray[np.float64]
DATA = Path(__file__).parent / "data"
PARTS = 500


@dataclass(frozen=True)
class DataSet:
    """One set and how it is judged.

    Attributes:
        name: Of the set.
        grain: Of its periods.
        units: Shape (n, periods), NaN before the first sale.
        horizon: Periods of a window.
        lag: Of the naive errors in MASE.
        best_pinball: Of the best model measured before ours: of the 95 % quantile of totals.
    """

    name: str
    grain: Grain
    units: Floats
    horizon: int
    lag: int
    best_pinball: float


def read() -> list[DataSet]:
    """The three sets."""
    shop = panel.read().units
    shop = np.where(np.cumsum(shop, axis=1) > 0, shop, np.nan)
    return [
        DataSet("retail", "D", shop, 28, 7, 0.217),
        DataSet("avocado", "W", _wide("avocado_weekly"), 8, 1, 0.039),
        DataSet("carparts", "M", _wide("carparts_monthly"), 3, 12, 0.462),
    ]


def _wide(name: str) -> Floats:
    frame = pd.read_parquet(DATA / f"{name}.parquet")
    return frame.pivot(index="series", columns="period", values="units").to_numpy(np.float64)


def avocado(source: pd.DataFrame) -> pd.DataFrame:
    """Series that sold in at least 405 weeks, and units in a fifth of them."""
    source = source.assign(name=source["market"].astype(str) + "|" + source["sku"].astype(str))
    weeks = pd.date_range(source["week"].min(), source["week"].max(), freq="W-SUN")
    wide = source.pivot(index="name", columns="week", values="units").astype(float)
    lives = (wide.count(axis=1) >= 405) & ((wide > 0).sum(axis=1) >= 0.2 * wide.count(axis=1))
    return _long(wide[lives].reindex(columns=weeks).interpolate(axis=1).round().astype("int32"))


def carparts(source: pd.DataFrame) -> pd.DataFrame:
    """The first parts whose 51 months are all known, with sales in 8 of them."""
    source = source.assign(name=source["sku"].astype(str))
    wide = source.pivot(index="name", columns="month", values="units")
    lives = (wide.count(axis=1) == 51) & ((wide > 0).sum(axis=1) >= 8)
    return _long(wide[lives].head(PARTS).astype("int16"))


def _long(wide: pd.DataFrame) -> pd.DataFrame:
    count, periods = wide.shape
    return pd.DataFrame(
        {
            "series": np.repeat(np.arange(count, dtype=np.int16), periods),
            "period": np.tile(np.arange(periods, dtype=np.int16), count),
            "units": wide.to_numpy().ravel(),
        }
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, build in (("avocado_weekly", avocado), ("carparts_monthly", carparts)):
        rows = build(pd.read_parquet(folder / f"{name}.parquet"))
        rows.to_parquet(DATA / f"{name}.parquet", index=False, compression="zstd")
        print(f"{name}: {rows['series'].nunique()} series, {len(rows)} rows")
