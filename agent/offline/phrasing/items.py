"""Tell what tools say about single items: names, stock, forecasts, reorder points."""

from agent.offline.history import Call, Json, rows
from agent.offline.phrasing.figures import day, joined, number, percent, title, units

_LIKELY = 80.0  # of 100; below, a name merely has letters in common with what was asked
_NEAREST = 3


def found_items(call: Call) -> str:
    """Items that a search found."""
    matches = rows(call.data, "matches")
    none = f"I found no item like {call.arguments.get('query')!r}."
    if not matches:
        return none
    if max(_score(row) for row in matches) < _LIKELY:
        near = joined([title(row) for row in matches[:_NEAREST]], "or")
        return f"{none} The nearest by spelling: {near}."
    if len(matches) == 1:
        item = matches[0]
        text = f"{title(item)}, counted in {item.get('uom')}, {item.get('status')}."
        is_sure = float(item.get("score") or 0) >= 95
        return text if is_sure else f"{text} Did you mean this one?"
    listed = "\n".join(f"{at}. {title(item)}" for at, item in enumerate(matches, start=1))
    return f"Several items fit; which one do you mean?\n{listed}"


def _score(row: Json) -> float:
    """How well a match fits; a result without scores holds good ones only."""
    return float(row.get("score") or 100)


def stock(call: Call) -> str:
    """One inventory position in words."""
    data, uom = call.data, call.data.get("uom")
    place = f" at {data['location']}" if data.get("location") else ""
    parts = [f"{units(data.get('on_hand'), uom)} on hand"]
    for name, word in (("allocated", "allocated"), ("quarantined", "in quarantine"),
                       ("expiring", "expiring"), ("backordered", "backordered")):  # fmt: skip
        if data.get(name):
            parts.append(f"{number(data[name])} {word}")
    parts.append(f"{number(data.get('available'))} available")
    sentences = [f"{title(data)}{place}: {', '.join(parts)}."]
    position = number(data.get("inventory_position"))
    sentences.append(f"On order {number(data.get('on_order'))}, inventory position {position}.")
    sentences += _receipts(data)
    sentences += _cover(data)
    return " ".join(sentences)


def _receipts(data: Json) -> list[str]:
    listed = [
        f"{row.get('po')} with {number(row.get('quantity'))}"
        + (f" due {day(row['promise'])}" if row.get("promise") else "")
        + ("" if row.get("confirmed") else " (not confirmed)")
        for row in rows(data, "open_receipts")[:3]
    ]
    return [f"Open: {joined(listed)}."] if listed else []


def _cover(data: Json) -> list[str]:
    sentences = []
    if data.get("days_of_cover") is not None:
        demand = number(data.get("daily_demand"))
        cover = number(data["days_of_cover"])
        sentences.append(f"At {demand} a day that is {cover} days of cover.")
    if data.get("projected_stockout_date"):
        ahead = data.get("stockout_in_days")
        when = f", in {number(ahead)} days" if ahead is not None else ""
        sentences.append(f"Runs out on {day(data['projected_stockout_date'])}{when}.")
    if data.get("reorder_point") is not None:
        sentences.append(f"Reorder point {number(data['reorder_point'], 0)}.")
    return sentences


def forecast(call: Call, *, with_model: bool = False) -> str:
    """A forecast in words, with its range and its past error; the model only when asked for."""
    data, uom = call.data, call.data.get("uom")
    total = units(_whole(data.get("cumulative_mean")), uom)
    low, high = number(data.get("cumulative_low"), 0), number(data.get("cumulative_high"), 0)
    sentences = [
        f"{title(data)}, {number(data.get('horizon_days'))} days from {day(data.get('start'))} "
        f"to {day(data.get('end'))}: about {total}, {number(data.get('daily_mean'))} a day "
        f"({percent(data.get('level'))} range {low} to {high})."
    ]
    lead = data.get("lead_time") or {}
    if lead.get("quantile_units") is not None:
        level = percent(lead.get("quantile_level"))
        mean = number(lead.get("mean_units"), 0)
        sentences.append(
            f"Over the lead time of {number(lead.get('days'))} days: {mean}"
            f" on average, {number(lead['quantile_units'], 0)} at the {level} quantile."
        )
    sentences += _quality(data, with_model=with_model)
    return " ".join(sentences)


def _whole(value: object) -> str:
    return number(value, 0).replace(",", "")


def _quality(data: Json, *, with_model: bool) -> list[str]:
    accuracy = data.get("accuracy") or {}
    parts = [f"model {data.get('model')}"] if with_model else []
    parts.append(f"demand {data.get('demand_class')}")
    if accuracy.get("wmape") is not None:
        parts.append(f"past error {percent(accuracy['wmape'])} (WMAPE)")
    if accuracy.get("bias") is not None:
        parts.append(f"bias {percent(accuracy['bias'])}")
    text = ", ".join(parts)
    return [f"{text[:1].upper()}{text[1:]}."]


def reorder_point(call: Call) -> str:
    """Reorder point, its parts and the assumptions behind it."""
    data = call.data
    measure = str(data.get("measure") or "cycle").replace("_", " ")
    lead = data.get("lead_time") or {}
    point = units(_whole(data.get("reorder_point")), data.get("uom"))
    sentences = [
        f"{title(data)}: reorder point {point} "
        f"at {percent(data.get('service_level'), 2)} {measure} service.",
        f"Safety stock {number(data.get('safety_stock'), 0)}, order up to "
        f"{number(data.get('order_up_to'), 0)}.",
        f"Lead time {number(lead.get('mean'))} ± {number(lead.get('sd'))} days"
        f" ({number(lead.get('n'))} receipts), demand {number(data.get('demand_mean'))} ± "
        f"{number(data.get('demand_sd'))} a day.",
    ]
    terms = rows(data, "terms")
    if terms:
        listed = joined([f"{row.get('label')} {number(row.get('value'))}" for row in terms])
        sentences.append(f"Made of: {listed}.")
    notes = [str(note) for note in data.get("assumptions") or []][:3]
    if notes:
        sentences.append(f"Assumes: {'; '.join(notes)}.")
    return " ".join(sentences)
