"""The order as CSV, one row a line, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from tools.spreadsheet import safe_cell

_COLUMNS = (
    "order", "revision", "line", "sku", "supplier_sku", "name", "units", "uom", "packs",
    "pack_uom", "unit_price", "amount", "currency", "need_by", "ship_to", "approval",
    "approved_by", "approved_at", "key",
)  # fmt: skip


def order_csv(payload: Mapping[str, Any]) -> str:
    """Return the order as CSV, one row a line, safe to open in a spreadsheet."""
    approval = payload["approval"]
    head = {
        "order": payload["number"],
        "revision": payload["revision"],
        "currency": payload["currency"],
        "need_by": payload.get("need_by") or "",
        "ship_to": payload["ship_to"],
        "approval": approval["number"],
        "approved_by": approval["approved_by"],
        "approved_at": approval["approved_at"],
        "key": payload["key"],
    }
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\r\n", extrasaction="ignore")
    writer.writeheader()
    for line in payload["lines"]:
        row = {**line, **head}
        writer.writerow({name: safe_cell(row.get(name)) for name in _COLUMNS})
    return out.getvalue()
