"""Measure the promised figures, print them as a table and write ``build/bench.json``.

A run of everything also writes them into ``docs/how-good-is-it.md``.

``python -m bench [NAME ...]`` runs all modules of this folder or the named ones. Each has a
``run() -> list[dict]`` whose rows are ``{name, value, unit, goal, holds}``. Ratios are taken side
by side in one run, as medians: machines are noisy.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from bench import page

MODULES = (
    "startup",
    "reorder_points",
    "plan_batch",
    "closed_loop",
    "planning",
    "scale",
    "accuracy",
    "simulation",
    "ml",
    "agent",
    "ingestion",
    "audit",
    "approvals",
)


def main(names: list[str]) -> int:
    """Run the benchmarks and return 1 when a goal is missed."""
    rows: list[dict[str, Any]] = []
    for name in names or MODULES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += importlib.import_module(f"bench.{name}").run()
    out = Path("build/bench.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(rows, indent=2) + "\n")
    if not names:
        page.write(rows)
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        mark = "holds" if row["holds"] else "SHORT"
        figure = f"{row['value']:>12,.3f} {row['unit']:<8} {row['goal']:<12} {mark}"
        print(f"{row['name']:<{width}}  {figure}")
    return 0 if all(row["holds"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
