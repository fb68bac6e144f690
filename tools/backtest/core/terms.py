"""What a history says about each of its series beside the sales, and defaults for the rest."""

import numpy as np
import pandas as pd

from tools.backtest.core.assumptions import Assumptions

DEFAULT_LEAD_TIME_DAYS = 14.0


def series_terms(rows: pd.DataFrame, assumptions: Assumptions) -> pd.DataFrame:
    """One row per series, in the panel's order, with what the file says about it."""
    grouped = rows.groupby(["item_id", "location_id"], sort=True)
    found = grouped.agg(
        sku=("sku", "first"), written=("written", "first"), location=("location", "first"),
        name=("name", "first"),
        price=("price", "median"), unit_cost=("unit_cost", "median"),
        lead_time_days=("lead_time_days", "median"), moq=("moq", "max"),
        multiple=("multiple", "max"), group=("group", "first"),
    ).reset_index()  # fmt: skip
    several = found["location"].nunique() > 1
    places = found["location"].where(found["location"] != "", "(no place)")
    found["label"] = found["written"] + " @ " + places if several else found["written"]
    found["has_money"] = found["price"].notna() | found["unit_cost"].notna()
    share = 1 - assumptions.margin_rate
    price = found["price"].where(found["price"] > 0)
    cost = found["unit_cost"].where(found["unit_cost"] > 0)
    found["price"] = price.fillna(cost / share).fillna(assumptions.default_price)
    found["unit_cost"] = cost.fillna(found["price"] * share)
    # Goods bought above their price would make every lost sale a gain.
    found["unit_cost"] = np.minimum(found["unit_cost"], found["price"] * 0.99)
    given = {
        "lead_time_days": (assumptions.lead_time_days, DEFAULT_LEAD_TIME_DAYS),
        "moq": (assumptions.moq_units, 1.0),
        "multiple": (assumptions.order_multiple_units, 1.0),
    }
    for name, (told, default) in given.items():
        found[f"{name}_is_known"] = found[name].notna()
        found[name] = found[name].fillna(default) if told is None else float(told)
    found[["lead_time_days", "moq", "multiple"]] = found[
        ["lead_time_days", "moq", "multiple"]
    ].clip(lower=1)
    return found
