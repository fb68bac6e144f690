"""What the demo shop has besides real sales: terms, stock and open orders, made from a fixed seed.

Everything here is arithmetic on the packaged frames; ``db.seed`` writes it into the tables.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pandas as pd

from db.demo.suppliers import SUPPLIERS
from db.types import ItemStatus

SEED = 20111209
LAST_DAY = date(2011, 12, 8)
COST_SHARE = 0.60
PARTS = ("items", "sales", "deliveries", "levels")
# What the item's opening position is, and for how many items; the rest is comfortably covered.
SHORTAGES, BELOW, EXCESS = 10, 18, 22
_CHRISTMAS = ("christmas", "advent", "jingle bell", "10 reindeer")
_PACKS = ((100, 48), (200, 24), (500, 12))  # under this many pence: so many to a case

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Package:
    """The files of the package as frames.

    Attributes:
        items: sku, name, price_minor.
        sales: sku, on (date), units, returned_units.
        deliveries: vendor, id, po, qty, po_sent, promised, delivered (dates).
        levels: sku, reorder_point, enough, as a planning run over these sales found them.
    """

    items: pd.DataFrame
    sales: pd.DataFrame
    deliveries: pd.DataFrame
    levels: pd.DataFrame


def read_package() -> Package:
    """Read the packaged Parquet files."""
    folder = files("db.demo")
    frames = {}
    for name in PARTS:
        with (folder / f"{name}.parquet").open("rb") as file:
            frames[name] = pd.read_parquet(file)
    return Package(**frames)


def receipts(deliveries: pd.DataFrame) -> pd.DataFrame:
    """Delivery records in the shop's own year and on its suppliers' scale.

    Every span of a vendor (sent to promised, sent to delivered) is multiplied by one factor, the
    supplier's quoted lead time in calendar days over the vendor's median promised span, so that
    lateness keeps its proportion. The deliveries keep their order and are spread evenly over the
    year before the demo's morning.

    Returns:
        supplier (code), reference, ordered_on, promised_on, received_on, units, factor.
    """
    frames = []
    for supplier in SUPPLIERS:
        rows = deliveries[deliveries["vendor"] == supplier.vendor].reset_index(drop=True)
        sent, promised, delivered = (
            pd.to_datetime(rows[name]) for name in ("po_sent", "promised", "delivered")
        )
        promised_span = (promised - sent).dt.days
        factor = supplier.lead_time_days * 7 / 5 / float(promised_span.median())
        age = np.linspace(340, 3, len(rows)).round()
        received = pd.Timestamp(LAST_DAY) - pd.to_timedelta(age, unit="D")
        span = _days((delivered - sent).dt.days * factor)
        ordered = pd.Series(received) - span
        frames.append(
            pd.DataFrame(
                {
                    "supplier": supplier.code,
                    "reference": [
                        f"SCMS line {key}, order {po}"
                        for key, po in zip(rows["id"], rows["po"], strict=True)
                    ],
                    "ordered_on": ordered.dt.date,
                    "promised_on": (ordered + _days(promised_span * factor)).dt.date,
                    "received_on": received.date,
                    "units": rows["qty"].astype("int64"),
                    "factor": factor,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _days(spans: "pd.Series[float]") -> "pd.Series[pd.Timedelta]":
    return pd.to_timedelta(spans.round().clip(lower=1), unit="D")


def shop_items(package: Package) -> pd.DataFrame:
    """Items with supplier, terms and classes.

    Returns:
        The package's items with category, status, supplier, second (code or ""), cost_minor,
        second_cost_minor, pack_units, moq_units, demand_mean (units a day),
        abc, xyz.
    """
    random = np.random.default_rng(SEED)
    items = package.items.copy()
    chosen = [_supplier_index(name, random) for name in items["name"]]
    items["supplier"] = [SUPPLIERS[n].code for n in chosen]
    items["category"] = [SUPPLIERS[n].category for n in chosen]
    items["status"] = [_status(name) for name in items["name"]]
    step = random.integers(1, len(SUPPLIERS), len(items))
    has_second = random.random(len(items)) < 0.35
    items["second"] = [
        SUPPLIERS[(n + s) % len(SUPPLIERS)].code if has else ""
        for n, s, has in zip(chosen, step, has_second, strict=True)
    ]
    cost = items["price_minor"] * COST_SHARE * random.uniform(0.95, 1.05, len(items))
    items["cost_minor"] = cost.round().clip(lower=1).astype("int64")
    second_cost = items["cost_minor"] * random.uniform(0.94, 1.08, len(items))
    items["second_cost_minor"] = second_cost.round().clip(lower=1).astype("int64")
    items["pack_units"] = [_pack(price) for price in items["price_minor"]]
    _add_demand(items, package.sales)
    packs = np.ceil(items["demand_mean"] * 7 / items["pack_units"]).clip(1, 4)
    items["moq_units"] = (packs * items["pack_units"]).astype("int64")
    return items


def _supplier_index(name: str, random: np.random.Generator) -> int:
    words = name.lower().split()
    for index, supplier in enumerate(SUPPLIERS):
        if any(word in supplier.words for word in words):
            return index
    return int(random.integers(len(SUPPLIERS)))


def _pack(price_minor: int) -> int:
    return next((units for below, units in _PACKS if price_minor < below), 6)


def _add_demand(items: pd.DataFrame, sales: pd.DataFrame) -> None:
    """Add recent demand a day, its spread, and the classes by value (ABC) and by spread (XYZ)."""
    wide = sales.pivot_table(index="on", columns="sku", values="units", aggfunc="sum")
    days = pd.date_range(min(sales["on"]), LAST_DAY).date
    wide = wide.reindex(index=days, columns=items["sku"]).fillna(0.0)
    recent, year = wide.tail(56).mean(), wide.mean()
    items["demand_mean"] = np.maximum(recent.to_numpy(), year.to_numpy() * 0.5)
    value = (wide.sum() / len(wide) * 365).to_numpy() * items["cost_minor"].to_numpy()
    order = np.argsort(-value, kind="stable")
    share = np.empty(len(items))
    share[order] = (np.cumsum(value[order]) - value[order]) / value.sum()
    items["abc"] = np.select([share < 0.8, share < 0.95], ["A", "B"], "C")
    weekly = wide.to_numpy()[-364:].reshape(52, 7, -1).sum(axis=1)
    spread = weekly.std(axis=0) / np.maximum(weekly.mean(axis=0), 1e-9)
    items["xyz"] = np.select([spread < 0.5, spread < 1.0], ["X", "Y"], "Z")


def _status(name: str) -> ItemStatus:
    """Christmas goods are not bought any more on 9 December: they would arrive in January."""
    is_seasonal = any(word in name.casefold() for word in _CHRISTMAS)
    return ItemStatus.PHASE_OUT if is_seasonal else ItemStatus.ACTIVE


def opening_position(items: pd.DataFrame, levels: pd.DataFrame) -> tuple[Numbers, list[str]]:
    """Inventory position on the morning of the demo, and each item's group.

    Chosen so that the morning list has some thirty lines: shortages last a few days only, some
    items stand below their reorder point, some hold the demand of months more than enough, and the
    rest is where it should be.
    """
    random = np.random.default_rng(SEED + 1)
    mean = items["demand_mean"].to_numpy()
    level = levels.set_index("sku").loc[items["sku"]]
    point = level["reorder_point"].to_numpy(dtype="float64")
    enough = np.maximum(level["enough"].to_numpy(dtype="float64"), point + 2)
    groups = _groups(mean, random)
    draw = random.random(len(items))
    position = np.select(
        [groups == "shortage", groups == "below", groups == "excess"],
        [
            np.minimum(mean * (2 + 5 * draw), point * 0.5),
            point * (0.55 + 0.35 * draw),
            enough + mean * (60 + 120 * draw),
        ],
        point + (enough - point) * (0.3 + 0.5 * draw),
    )
    return np.ceil(position), groups.tolist()


def _groups(mean: Numbers, random: np.random.Generator) -> "npt.NDArray[np.str_]":
    groups = np.full(len(mean), "covered", dtype="<U8")
    busy = random.permutation(np.flatnonzero(mean >= 2.0))
    groups[busy[:SHORTAGES]] = "shortage"
    groups[busy[SHORTAGES : SHORTAGES + BELOW]] = "below"
    groups[busy[SHORTAGES + BELOW : SHORTAGES + BELOW + EXCESS]] = "excess"
    return groups


@dataclass(frozen=True)
class OpenOrder:
    """An order of the past that is still open; days count from the demo's morning."""

    number: str
    supplier: str
    state: str
    sent_days_ago: int
    promised_in_days: int | None
    lines: int
    received_share: float = 0.0


OPEN_ORDERS = (
    OpenOrder("PO-1036", "DUNMORE", "confirmed", 24, -7, 2),
    OpenOrder("PO-1037", "ASHDOWN", "partially_received", 16, -3, 2, 0.5),
    OpenOrder("PO-1038", "CALDER", "confirmed", 15, 5, 2),
    OpenOrder("PO-1039", "BEACON", "sent", 8, None, 2),
    OpenOrder("PO-1040", "GRANBY", "confirmed", 7, 3, 2),
    OpenOrder("PO-1041", "JUNIPER", "confirmed", 10, 18, 1),
    OpenOrder("PO-1042", "ELMFIELD", "confirmed", 5, 3, 2),
    OpenOrder("PO-1043", "FENWICK", "sent", 1, None, 1),
    OpenOrder("PO-1044", "HARTLEY", "confirmed", 9, 14, 1),
)


def order_lines(items: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Lines of the open orders: each supplier's busiest covered items, a fortnight's demand.

    Returns:
        number, sku, units, unit_price_minor, received_units.
    """
    candidates = items[[group in ("covered", "below") for group in groups]]
    rows = []
    for order in OPEN_ORDERS:
        of_supplier = candidates[candidates["supplier"] == order.supplier]
        for line in of_supplier.nlargest(order.lines, "demand_mean").to_dict("records"):
            need = max(line["demand_mean"] * 14, line["moq_units"])
            packs = int(np.ceil(need / line["pack_units"]))
            units = packs * line["pack_units"]
            rows.append(
                {
                    "number": order.number,
                    "sku": line["sku"],
                    "units": units,
                    "unit_price_minor": unit_price(line["cost_minor"], line["moq_units"], units),
                    "received_units": int(packs * order.received_share) * line["pack_units"],
                }
            )
    return pd.DataFrame(rows)


def price_breaks(cost_minor: int, moq_units: int) -> tuple[tuple[int, int], ...]:
    """Quantity and price of each discount: 4 % from four, 8 % from ten minimum orders on."""
    steps = ((4, 0.96), (10, 0.92))
    priced = ((moq_units * times, max(1, round(cost_minor * share))) for times, share in steps)
    return tuple((units, price) for units, price in priced if price < cost_minor)


def unit_price(cost_minor: int, moq_units: int, units: int) -> int:
    """Price of one unit when so many are ordered."""
    reached = [price for least, price in price_breaks(cost_minor, moq_units) if units >= least]
    return min([cost_minor, *reached])


def days_from_now(days: int) -> date:
    """A day counted from the demo's morning."""
    return LAST_DAY + timedelta(days=1 + days)
