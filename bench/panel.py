"""The demand of the closed loop: 300 items of Online Retail, day by day, with their prices.

    python -m bench.panel SOURCE     makes data/online_retail_panel.parquet again from the published
                                     daily set (online_retail_daily.parquet)

Kept are items that first sold by March 2011, still sold after 15 November 2011 and on 40 days or
more; of these the 300 with the highest revenue. Source: "Online Retail", UCI Machine Learning
Repository, dataset 352, CC BY 4.0 (Chen, Sain & Guo 2012); added up by item and day.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
FILE = Path(__file__).parent / "data" / "online_retail_panel.parquet"
FIRST, LAST = pd.Timestamp("2010-12-01"), pd.Timestamp("2011-12-09")


@dataclass(frozen=True)
class Panel:
    """Items in the order of their codes.

    Attributes:
        sku: Codes, (n,).
        units: Demand a day from 1 December 2010 to 9 December 2011, (n, 374).
        price: Median price, (n,).
    """

    sku: npt.NDArray[np.str_]
    units: Floats
    price: Floats


def read(file: Path = FILE) -> Panel:
    """The packaged panel, or one that ``build`` wrote elsewhere."""
    frame = pd.read_parquet(file)
    wide = frame.pivot(index="sku", columns="day", values="units")
    wide = wide.reindex(columns=np.arange((LAST - FIRST).days + 1)).fillna(0.0)
    price = frame.groupby("sku")["price"].first().reindex(wide.index)
    return Panel(wide.index.to_numpy(), wide.to_numpy(np.float64), price.to_numpy(np.float64))


def build(source: Path, *, items: int = 300) -> pd.DataFrame:
    """Rows sku, day (0 is 1 December 2010), units and the item's price; days without are zero."""
    daily = pd.read_parquet(source)
    daily["sku"] = daily["sku"].astype(str)
    sold = daily[daily["units"] > 0].groupby("sku")
    seen = sold.agg(first=("day", "min"), last=("day", "max"), days=("day", "size"))
    seen["revenue"] = sold["revenue"].sum()
    lives = (seen["first"] <= "2011-03-01") & (seen["last"] >= "2011-11-15") & (seen["days"] >= 40)
    best = seen[lives].sort_values("revenue", ascending=False).head(items).sort_index()
    chosen = daily[daily["sku"].isin(best.index)]
    rows = chosen[["sku", "units"]].assign(day=(chosen["day"] - FIRST).dt.days.astype("int16"))
    rows = rows[rows["day"] >= rows["sku"].map((best["first"] - FIRST).dt.days)]
    price = _median_prices(chosen, best["first"])
    rows = rows[rows["units"] != 0]
    rows["price"] = rows["sku"].map(price)
    return rows.sort_values(["sku", "day"]).reset_index(drop=True)


def _median_prices(chosen: pd.DataFrame, first: "pd.Series[pd.Timestamp]") -> "pd.Series[float]":
    """Median over the days since the first sale, a day without a sale at the last price."""
    days = pd.date_range(FIRST, LAST)
    wide = chosen.pivot(index="day", columns="sku", values="price").reindex(days).ffill().bfill()
    since = first.reindex(wide.columns).to_numpy()[None, :] <= days.to_numpy()[:, None]
    return wide.where(since).median()


if __name__ == "__main__":
    build(Path(sys.argv[1])).to_parquet(FILE, compression="zstd", index=False)
