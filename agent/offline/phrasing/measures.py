"""Tell the key figures with their targets and the numbers behind them."""

from agent.offline.history import Call, Json, rows
from agent.offline.phrasing.figures import money, number, percent


def kpis(call: Call) -> str:
    """Key figures of a window of days, each against its target."""
    found = rows(call.data, "kpis")
    if not found:
        return "There are no such key figures."
    days = number(call.data.get("window_days"))
    return "\n".join([f"Last {days} days:", *(f"- {_kpi(row)}" for row in found)])


def _kpi(row: Json) -> str:
    label = row.get("label") or row.get("name")
    if row.get("value") is None:
        return f"{label}: not enough data."
    text = f"{label} {_value(row.get('value'), row.get('unit'))}"
    if row.get("target") is not None:
        verdict = {True: ", met", False: ", missed"}.get(row.get("holds"), "")  # type: ignore[arg-type]
        text += f" (target {_value(row['target'], row.get('unit'))}{verdict})"
    is_share = row.get("unit") in ("%", "rate")
    if is_share and row.get("numerator") is not None and row.get("denominator") is not None:
        text += f": {_share(row)}"
    return f"{text}."


def _share(row: Json) -> str:
    """The two numbers behind a share; those of an accuracy are its error and what it is of."""
    if row.get("name") == "forecast_accuracy":
        return f"error {number(row['numerator'], 0)} of {number(row['denominator'], 0)} units"
    return f"{number(row['numerator'])} of {number(row['denominator'])}"


def _value(value: object, unit: object) -> str:
    kind = str(unit or "")
    if kind in ("rate", "fraction", "share", "ratio"):
        return percent(value)
    if kind in ("%", "percent"):
        return f"{number(value)} %"
    if len(kind) == 3 and kind.isupper():
        return money(value, kind)
    return f"{number(value)} {kind}".strip() if not isinstance(value, str) else str(value)
