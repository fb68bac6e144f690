"""How long ``quartermaster --help`` takes to start."""

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("quartermaster")


def run() -> list[dict[str, Any]]:
    """Median wall time of ten starts."""
    times = []
    for _ in range(10):
        begun = time.perf_counter()
        subprocess.run([COMMAND, "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - begun)
    value = statistics.median(times)
    return [
        {
            "name": "quartermaster --help",
            "value": value,
            "unit": "s",
            "goal": "<= 0.5",
            "holds": value <= 0.5,
        }
    ]
