"""Make the packaged demo data from the published data sets.

    python -m db.demo.build SOURCE_DIRECTORY [PLANNED_DATABASE]

The directory holds ``online_retail_daily.parquet`` and ``online_retail_skus.parquet`` (Online
Retail, per SKU and day) and ``scms_orders.parquet`` (SCMS delivery history, one row an order line).
Selections are by rule, without chance, so that the same sources give the same files. The second
argument is a SQLite database of the demo after planning: its reorder points and order-up-to levels
are kept in ``levels.parquet``, around which the opening stock is generated.
"""

import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pandas as pd

from db.demo.suppliers import SUPPLIERS

HERE = Path(__file__).parent
LAST_DAY = pd.Timestamp("2011-12-08")  # the data set's last full day
# Least sale days, most sale days, how many of the best sellers in between.
CLASSES = ((200, 400, 150), (100, 200, 60), (50, 100, 30), (20, 50, 20))
DELIVERIES_PER_VENDOR = 48
_SMALL_WORDS = {"And", "Of", "The", "In", "With", "For", "On", "To", "A"}


def tidy_name(description: str) -> str:
    """Capitals of a till description as a readable name.

    Example:
        >>> tidy_name("JAM MAKING SET  WITH JARS")
        'Jam Making Set with Jars'
    """
    words = re.sub(r"\s+", " ", description.strip(" .,")).lower().split(" ")
    named = [re.sub(r"(^|[-/(])([a-z])", lambda m: m[1] + m[2].upper(), word) for word in words]
    rest = [word.lower() if word in _SMALL_WORDS else word for word in named[1:]]
    return " ".join([*named[:1], *rest])


def choose_items(skus: pd.DataFrame) -> pd.DataFrame:
    """Best sellers of each class of frequency that still sell; one item a description."""
    usable = skus[skus["description"].notna() & (skus["last"] >= "2011-11-15")].copy()
    usable["name"] = usable["description"].astype(str).map(tidy_name)
    usable = usable[usable["name"].str.len().between(4, 60) & (usable["median_price"] >= 0.1)]
    usable = usable.sort_values(["revenue", "sku"], ascending=[False, True])
    usable = usable.drop_duplicates("name")
    chosen = [
        usable[(usable["sale_days"] >= least) & (usable["sale_days"] < most)].head(count)
        for least, most, count in CLASSES
    ]
    items = pd.concat(chosen).sort_values("sku")
    pence = (items["median_price"].astype("float64") * 100).round().astype("int32")
    return items.assign(price_minor=pence)[["sku", "name", "price_minor"]].reset_index(drop=True)


def choose_sales(daily: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Units and returned units of the chosen items by day."""
    rows = daily[daily["sku"].isin(items["sku"]) & (daily["day"] <= LAST_DAY)]
    rows = rows[(rows["units"] > 0) | (rows["returns"] > 0)]
    return (
        pd.DataFrame(
            {
                "sku": rows["sku"].astype(str),
                "on": rows["day"].dt.date,
                "units": rows["units"].astype("int32"),
                "returned_units": rows["returns"].astype("int32"),
            }
        )
        .sort_values(["sku", "on"])
        .reset_index(drop=True)
    )


def choose_deliveries(orders: pd.DataFrame) -> pd.DataFrame:
    """Latest order lines of the vendors behind our suppliers, with all three dates known."""
    dates = ["po_sent", "promised", "delivered"]
    known = orders[orders["vendor"].isin([supplier.vendor for supplier in SUPPLIERS])]
    known = known.dropna(subset=dates)
    known = known[(known["promised"] > known["po_sent"]) & (known["delivered"] > known["po_sent"])]
    latest = known.sort_values(["vendor", "delivered", "id"])
    latest = latest.groupby("vendor").tail(DELIVERIES_PER_VENDOR)
    columns = latest[["vendor", "id", "po", "qty", *dates]].reset_index(drop=True)
    return columns.assign(**{name: columns[name].dt.date for name in dates})


def choose_levels(database: Path) -> pd.DataFrame:
    """Reorder point of each item, and the stock beyond which it has more than enough."""
    query = """
        SELECT item.sku, reorder_point_units AS reorder_point,
               max(order_up_to_units, CAST(90 * demand_mean AS INTEGER)) AS enough
        FROM policy JOIN item ON item.id = policy.item_id ORDER BY item.sku
    """
    with closing(sqlite3.connect(database)) as connection:
        return pd.read_sql(query, connection).astype({"reorder_point": "int64", "enough": "int64"})


def build(source: Path, target: Path) -> None:
    """Write items, sales and deliveries as Parquet files."""
    items = choose_items(pd.read_parquet(source / "online_retail_skus.parquet"))
    sales = choose_sales(pd.read_parquet(source / "online_retail_daily.parquet"), items)
    deliveries = choose_deliveries(pd.read_parquet(source / "scms_orders.parquet"))
    for name, frame in (("items", items), ("sales", sales), ("deliveries", deliveries)):
        frame.to_parquet(target / f"{name}.parquet", compression="zstd", index=False)


if __name__ == "__main__":
    build(Path(sys.argv[1]), HERE)
    if len(sys.argv) > 2:
        levels = choose_levels(Path(sys.argv[2]))
        levels.to_parquet(HERE / "levels.parquet", compression="zstd", index=False)
