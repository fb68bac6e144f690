"""The tools of every area, who may use which, and how a result is shown to the model."""

import json
from collections.abc import Mapping
from decimal import Decimal
from importlib import import_module
from typing import Any

from db.types import Actor, Permission
from tools.identity.core import may
from tools.wrapping import Tool, ToolContext

AREAS = (
    "catalog",
    "stock",
    "alerts",
    "forecasting",
    "planning_inputs",
    "replenishment",
    "suppliers",
    "purchasing",
    "shipments",
    "kpis",
    "simulation",
)
CONTENT_LIMIT = 6_000  # characters of a tool message
_KEPT = ("revise_purchase_order",)  # who drafts must be able to change the draft


def all_tools() -> tuple[Tool, ...]:
    """Return every tool a model can reach; none of them approves or sends."""
    return tuple(tool for area in AREAS for tool in import_module(f"tools.{area}.tool").TOOLS)


def tools_for(
    actor: Actor, core_only: bool = False, *, tools: tuple[Tool, ...] | None = None
) -> tuple[Tool, ...]:
    """Return the tools this person may use; ``core_only`` keeps the dozen for small models."""
    offered = all_tools() if tools is None else tools
    if not may(actor, Permission.DRAFT):
        offered = tuple(tool for tool in offered if tool.effect == "read")
    return tuple(tool for tool in offered if tool.is_core or not core_only or tool.name in _KEPT)


def run_tool(
    tools: tuple[Tool, ...], context: ToolContext, name: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Run a tool by name and return its envelope as plain JSON values."""
    for tool in tools:
        if tool.name == name:
            return plain(tool.call(context, arguments))  # type: ignore[no-any-return]
    names = ", ".join(tool.name for tool in tools)
    return {
        "ok": False,
        "error": "unknown_tool",
        "message": f"There is no tool {name[:64]!r}.",
        "next": f"Use one of: {names}.",
        "details": {},
    }


def plain(value: Any) -> Any:
    """Return the value built of dict, list, str, int, float, bool and None only.

    NumPy and pandas scalars become Python numbers, dates ISO text; what is not a number is null.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):  # np.float64 is one too
        return float(value) if value - value == 0 else None
    if value is None or type(value) in (bool, int, str):
        return value
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):  # a NumPy scalar or array
        return plain(value.tolist())
    if isinstance(value, int):
        return int(value)
    return str(value) if isinstance(value, str | Decimal) else repr(value)


def shorten(envelope: Mapping[str, Any], limit: int = CONTENT_LIMIT) -> str:
    """Return the envelope as JSON of at most ``limit`` characters.

    Lists are cut from the end, the longest first, and an entry ``truncated`` says how many items of
    which list are missing; the full result stays in its row.
    """
    text = _compact(envelope)
    if len(text) <= limit:
        return text
    short: dict[str, Any] = json.loads(text)
    dropped: dict[str, int] = {}
    while len(text) > limit and (longest := _longest_list(short)) is not None:
        name, items = longest
        keep = max(0, len(items) - max(1, len(items) // 4))
        dropped[name] = dropped.get(name, 0) + len(items) - keep
        del items[keep:]
        short["truncated"] = dropped
        text = _compact(short)
    return text if len(text) <= limit else _headline(short, dropped, limit)


def _headline(envelope: Mapping[str, Any], dropped: dict[str, int], limit: int) -> str:
    """Keep what is small when long texts rather than long lists fill an envelope."""
    data = envelope.get("data") or {}
    kept = {key: value for key, value in data.items() if len(_compact(value)) <= 200}
    short = {**envelope, "data": kept, "truncated": {**dropped, "fields": len(data) - len(kept)}}
    text = _compact(short)
    if len(text) <= limit:
        return text
    return _compact({"ok": envelope.get("ok"), "data": {}, "truncated": {"fields": len(data)}})


def _longest_list(value: Any, name: str = "data") -> tuple[str, list[Any]] | None:
    """Find the list that takes most characters and is not empty."""
    found: list[tuple[int, str, list[Any]]] = []

    def walk(node: Any, label: str) -> None:
        if isinstance(node, list) and node:
            found.append((len(_compact(node)), label, node))
        children = node.items() if isinstance(node, dict) else ()
        for key, child in children:
            walk(child, key)

    walk(value, name)
    if not found:
        return None
    _, label, items = max(found, key=lambda entry: entry[0])
    return label, items


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
