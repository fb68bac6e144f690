"""Where the panels of a run wait between its passes: in memory while small, else on disk."""

import tempfile
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from tools.demand.core import Panel

MEMORY_BYTES = 64 << 20


class Spool:
    """Keeps panels in order; those that do not fit go to a temporary folder.

    A run reads each day of demand once: what its second pass sees is what its first one saw,
    whatever is loaded meanwhile, and a second query would cost more than a file.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._room = memory_bytes
        self._panels: list[Panel] = []
        self._is_out: list[bool] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        """Return itself; the folder goes at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the folder."""
        if self._folder is not None:
            self._folder.cleanup()

    def __len__(self) -> int:
        """Return the number of panels."""
        return len(self._panels)

    def append(self, panel: Panel) -> None:
        """Keep a panel behind the others."""
        size = panel.units.nbytes + panel.is_missing.nbytes
        fits = size <= self._room
        if fits:
            self._room -= size
        else:
            np.savez(self._file(len(self._panels)), units=panel.units, is_missing=panel.is_missing)
            nothing = np.empty((0, panel.units.shape[1]))
            panel = replace(panel, units=nothing, is_missing=nothing.astype(np.bool_))
        self._panels.append(panel)
        self._is_out.append(not fits)

    def __getitem__(self, number: int) -> Panel:
        """Return a panel as it was kept."""
        panel = self._panels[number]
        if not self._is_out[number]:
            return panel
        with np.load(self._file(number)) as stored:
            return replace(panel, units=stored["units"], is_missing=stored["is_missing"])

    @property
    def periods(self) -> int:
        """Width of the widest panel."""
        return max((panel.units.shape[1] for panel in self._panels), default=1)

    def _file(self, number: int) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="quartermaster-forecast-")
        return Path(self._folder.name) / f"{number}.npz"
