"""What is counted while the days pass."""

import numpy as np
import numpy.typing as npt

from tools.simulation.core.outcome import Daily, Orders

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Placed = tuple[Ints, Floats, Ints]  # cells (item * p + path), units, days of arrival


class Tally:
    """Totals per item and path, shape (n, p), from the end of the warm-up on."""

    def __init__(self, shape: tuple[int, int, int], *, warmup_days: int) -> None:
        n, p, days = shape
        self.first, self.days = warmup_days, days - warmup_days
        self.demand, self.short = np.zeros((n, p)), np.zeros((n, p))
        self.short_days, self.empty_days = np.zeros((n, p)), np.zeros((n, p))
        self.unit_days, self.waiting_days = np.zeros((n, p)), np.zeros((n, p))
        self.orders, self.ordered_units = np.zeros((n, p)), np.zeros((n, p))
        self.cycles, self.short_cycles = np.zeros((n, p)), np.zeros((n, p))
        self._was_short = np.zeros((n, p), dtype=np.bool_)

    def add(
        self,
        day: int,
        demand: Floats,
        short: Floats,
        on_hand: Floats,
        backlog: Floats,
        arrived: Floats,
    ) -> None:
        """Count a day: what was asked for, short, on hand and waiting at its end."""
        if day < self.first:
            return
        is_new = arrived > 0
        self.cycles += is_new
        self.short_cycles += is_new & self._was_short
        is_short = short > 0
        self._was_short = (self._was_short & ~is_new) | is_short
        self.demand += demand
        self.short += short
        self.short_days += is_short
        self.empty_days += on_hand < 1
        self.unit_days += on_hand
        self.waiting_days += backlog

    def add_orders(self, day: int, placed: Placed) -> None:
        """Count the orders of a day."""
        cells, units, _ = placed
        if day >= self.first:
            self.orders.reshape(-1)[cells] += 1
            self.ordered_units.reshape(-1)[cells] += units


class Record:
    """Days over all paths and single orders, where somebody asked for them."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        quantiles: tuple[float, ...] | None,
        keep_orders: bool,
    ) -> None:
        self.n, self.p, days = shape
        self.quantiles, self.keeps_orders = quantiles, keep_orders
        self._placed: list[tuple[int, Placed]] = []
        if quantiles is not None:
            self._means = np.zeros((4, self.n, days))
            self._levels = np.zeros((len(quantiles), self.n, days))

    def add(self, day: int, demand: Floats, short: Floats, on_hand: Floats, placed: Placed) -> None:
        """Keep a day."""
        if self.keeps_orders and len(placed[0]):
            self._placed.append((day, placed))
        if self.quantiles is not None:
            bought = np.bincount(placed[0] // self.p, weights=placed[1], minlength=self.n) / self.p
            means = (on_hand.mean(axis=1), demand.mean(axis=1), short.mean(axis=1), bought)
            self._means[:, :, day] = means
            self._levels[:, :, day] = np.quantile(on_hand, self.quantiles, axis=1)

    def daily(self) -> Daily | None:
        """Return the days, or None."""
        if self.quantiles is None:
            return None
        on_hand, demand, short, ordered = self._means
        return Daily(self.quantiles, on_hand, demand, short, ordered, self._levels)

    def orders_log(self) -> Orders | None:
        """Return the orders, or None."""
        if not self.keeps_orders:
            return None
        days = [np.full(len(placed[0]), day) for day, placed in self._placed]
        nothing = np.zeros(0, dtype=np.int64)
        cells = np.concatenate([nothing, *(placed[0] for _, placed in self._placed)])
        return Orders(
            item=cells // self.p,
            path=cells % self.p,
            day=np.concatenate([nothing, *days]),
            units=np.concatenate([np.zeros(0), *(placed[1] for _, placed in self._placed)]),
            arrives_on_day=np.concatenate([nothing, *(p[2] for _, p in self._placed)]),
        )
