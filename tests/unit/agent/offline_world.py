"""A small catalogue, the tools' argument names, and conversations to speak in the middle of."""

import json
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from agent.offline.model import OfflineChatModel
from tools.catalog.core import CatalogueSnapshot, NamedItem

CATALOGUE = CatalogueSnapshot(
    items=(
        NamedItem("WIDGET-A", "Widget A", ("blue widget",)),
        NamedItem("GLOVE-S", "Nitrile gloves small", ("M-GLOVE-S",)),
        NamedItem("GLOVE-M", "Nitrile gloves medium", ("M-GLOVE-M",)),
        NamedItem("GLOVE-L", "Nitrile gloves large", ("M-GLOVE-L",)),
        NamedItem("WIPES", "Surface wipes"),
        NamedItem("GASKET-9", "Rubber gasket 9 mm"),
        NamedItem("VAX-2", "Vaccine two doses"),
        NamedItem("LUX-LAMP", "Lux desk lamp"),
        NamedItem("SPARE-77", "Spare part 77"),
        NamedItem("22423", "Regency cakestand 3 tier"),
        NamedItem("85123A", "White hanging heart t-light holder"),
        NamedItem("DOG-LEAD", "Dog lead red"),
    ),
    suppliers=(
        ("ACME", "Acme"),
        ("BOREALIS", "Borealis"),
        ("MEDLINE", "Medline"),
        ("STRATUS", "Stratus Textiles"),
    ),
    locations=("MAIN", "EAST"),
)
TOOLS = {
    "find_item": "query limit",
    "get_stock_position": "sku location",
    "list_exceptions": "types supplier horizon_days limit",
    "forecast_demand": "sku location horizon_days level",
    "compute_reorder_point": "sku location service_level measure review_days method",
    "recommend_orders": "sku supplier limit",
    "explain_recommendation": "rec_id sku alternative_quantity",
    "simulate_scenario": "sku location demand_change_pct lead_time_change_days service_level start "
    "end horizon_days",
    "compare_suppliers": "sku quantity need_by",
    "draft_purchase_order": "lines supplier ship_to need_by note duplicate_reason",
    "revise_purchase_order": "po_id changes revision reason",
    "request_approval": "po_id digest",
    "list_orders": "status supplier sku limit",
    "cancel_order": "po_id reason",
    "check_shipment": "po_id tracking",
    "get_kpis": "names window_days",
}
WRITES = ("draft_purchase_order", "revise_purchase_order", "request_approval", "cancel_order")


def schemas(*names: str) -> list[dict[str, Any]]:
    """OpenAI schemas of tools; of all tools without names."""
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": name,
                "parameters": {
                    "type": "object",
                    "properties": {argument: {} for argument in TOOLS[name].split()},
                },
            },
        }
        for name in names or TOOLS
    ]


def model() -> OfflineChatModel:
    """The model with the small catalogue."""
    return OfflineChatModel(catalogue=lambda: CATALOGUE)


def answer(messages: list[BaseMessage], tools: list[dict[str, Any]] | None = None) -> AIMessage:
    """What the model makes of a conversation."""
    bound = model().bind_tools(schemas() if tools is None else tools)
    return bound.invoke([SystemMessage("Today is Monday 2026-03-02."), *messages])


def ok(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A successful envelope."""
    envelope = {"ok": True, "data": data, "as_of": "2026-03-02T06:02:00+00:00", "data_age_s": 60}
    return {**envelope, "warnings": [], "refs": [], **more}


def failed(code: str, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """An error envelope."""
    return {"ok": False, "error": code, "message": message, "next": "", "details": details or {}}


def turn(
    said: str, calls: list[tuple[str, dict[str, Any], dict[str, Any]]], reply: str | None = None
) -> list[BaseMessage]:
    """A finished turn; without a reply, the one that the model gives."""
    made = [
        {"name": name, "args": args, "id": f"call{at:05d}"}
        for at, (name, args, _) in enumerate(calls)
    ]
    messages: list[BaseMessage] = [HumanMessage(said), AIMessage("", tool_calls=made)]
    messages += [
        ToolMessage(json.dumps(envelope), tool_call_id=f"call{at:05d}", name=name)
        for at, (name, _, envelope) in enumerate(calls)
    ]
    return [*messages, answer(messages) if reply is None else AIMessage(reply)]


LINE = {
    "rec_id": "R-12", "action": "buy", "sku": "WIDGET-A", "name": "Widget A", "quantity": 1920,
    "uom": "each", "supplier": "Acme", "supplier_code": "ACME", "unit_price": "7.80",
    "amount": "14976.00", "currency": "USD", "need_by": "2026-03-10",
    "latest_order_date": "2026-03-02", "days_of_cover": 5.4, "inventory_position": 840,
    "reorder_point": 1244, "stockout_in_days": 8.4, "arrival_in_days": 9, "severity": "critical",
    "value_at_risk": "720.00", "flags": [],
}  # fmt: skip
LINE_2 = {**LINE, "rec_id": "R-13", "sku": "GASKET-9", "name": "Rubber gasket 9 mm",
          "quantity": 600, "amount": "600.00", "unit_price": "1.00"}  # fmt: skip
DRAFT = {
    "po_id": "PO-2001", "revision": 1, "state": "draft", "supplier": "Acme", "ship_to": "MAIN",
    "lines": [{"line": 1, "sku": "WIDGET-A", "name": "Widget A", "quantity": 1920, "uom": "each",
               "packs": 16, "pack_uom": "case", "pack_units": 120, "unit_price": "7.80",
               "amount": "14976.00"}],
    "total": "14976.00", "currency": "USD", "need_by": "2026-03-10", "checks": [],
    "duplicates": [], "digest": "d" * 64,
    "approval": {"required": True, "rule": "over the limit", "approver_role": "manager",
                 "your_limit": "10000.00"},
}  # fmt: skip
STOCK = {
    "sku": "WIDGET-A", "name": "Widget A", "uom": "each", "location": "MAIN", "on_hand": 620,
    "quarantined": 0, "expiring": 0, "allocated": 80, "backordered": 0, "available": 540,
    "on_order": 300, "in_transit": 300, "inventory_position": 840, "daily_demand": 100.0,
    "open_receipts": [{"po": "PO-1042", "quantity": 300, "promise": "2026-03-06",
                       "confirmed": True}],
    "days_of_cover": 5.4, "projected_stockout_date": "2026-03-10", "stockout_in_days": 8.4,
    "reorder_point": 1244, "safety_stock": 344,
}  # fmt: skip
SITUATIONS: dict[str, list[BaseMessage]] = {"": []}
SITUATIONS["stock"] = turn(
    "stock of widget-a", [("get_stock_position", {"sku": "WIDGET-A"}, ok(STOCK))]
)
SITUATIONS["recommendation"] = turn(
    "what needs ordering today?",
    [("recommend_orders", {}, ok({
        "lines": [LINE, LINE_2], "total_lines": 2, "total_amount": "15576.00", "currency": "USD",
        "items_without_need": 3,
    }))],
)  # fmt: skip
SITUATIONS["draft"] = SITUATIONS["recommendation"] + turn(
    "draft the first one",
    [("draft_purchase_order", {"lines": [{"rec_id": "R-12", "quantity": 1920}]}, ok(DRAFT))],
)
