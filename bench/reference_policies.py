"""Policies to compare with: spreadsheets, textbook reorder points, bootstrap, perfect foresight."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from bench.plant import ORDER_COST, Flags, Floats, Seen, World

REVIEW_DAYS = 1


def economic_lot(shop: World, demand_mean: Floats) -> Floats:
    """Economic order quantity, at least the demand of a day; units."""
    lot = np.sqrt(2 * ORDER_COST * np.maximum(demand_mean, 1e-9) / shop.holding)
    result: Floats = np.maximum(lot, demand_mean * REVIEW_DAYS)
    return result


def _in_stock_moments(units: npt.NDArray[np.floating], in_stock: Flags) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the days in stock."""
    units = units.astype(np.float64)
    days = np.maximum(in_stock.sum(axis=2), 1)
    mean = (units * in_stock).sum(axis=2) / days
    square = ((units - mean[..., None]) ** 2 * in_stock).sum(axis=2)
    return mean, np.sqrt(square / np.maximum(days - 1, 1))


@dataclass(frozen=True)
class Spreadsheet:
    """Average of 30 days, a safety stock of so many days fixed once, 30 days of cover."""

    name: str
    safety_days: int
    every: int
    window: int = 30
    cover_days: int = 30

    def levels(self, seen: Seen) -> tuple[Floats, Floats]:
        """Average over the lead time plus safety; the cover on top."""
        mean = seen.units[..., -self.window :].mean(axis=2, dtype=np.float64)
        safety = seen.world.history[:, -3 * self.window :].mean(axis=1) * self.safety_days
        point = mean * seen.world.lead_time_mean + safety
        return point, point + mean * self.cover_days


@dataclass(frozen=True)
class NormalPoint:
    """Textbook: normal lead-time demand from the days in stock, EOQ on top."""

    name: str
    service_level: float
    every: int = 7
    window: int = 90

    def levels(self, seen: Seen) -> tuple[Floats, Floats]:
        """Mean plus z standard deviations of demand over lead time and review."""
        shop = seen.world
        units, in_stock = seen.units[..., -self.window :], seen.in_stock[..., -self.window :]
        mean, sd = _in_stock_moments(units, in_stock)
        days = shop.lead_time_mean + REVIEW_DAYS
        spread = np.sqrt(days * sd**2 + (mean * shop.lead_time_mean / 2) ** 2)
        point = mean * days + special.ndtri(self.service_level) * spread
        return point, point + economic_lot(shop, mean)


@dataclass(frozen=True)
class Bootstrap:
    """Quantile of blocks of past days as long as past lead times, scaled to a smoothed level."""

    name: str
    service_level: float
    smoothing: float | None = None
    every: int = 7
    window: int = 180
    draws: int = 300

    def levels(self, seen: Seen) -> tuple[Floats, Floats]:
        """Circular blocks; a day out of stock counts as an average one."""
        shop, random = seen.world, np.random.default_rng(seen.day)
        units = seen.units[..., -self.window :].astype(np.float64)
        in_stock = seen.in_stock[..., -self.window :]
        days = np.maximum(in_stock.sum(axis=2), 1)
        mean = (units * in_stock).sum(axis=2) / days
        filled = np.where(in_stock, units, mean[..., None])
        totals = self._blocks(shop, filled, random)
        level = mean
        if self.smoothing is not None:
            weights = (1 - self.smoothing) ** np.arange(units.shape[2])[::-1] * in_stock
            level = (units * weights).sum(axis=2) / np.maximum(weights.sum(axis=2), 1e-9)
            totals *= (level / np.maximum(mean, 1e-9))[..., None]
        point = np.quantile(totals, self.service_level, axis=2)
        return point, point + economic_lot(shop, level)

    def _blocks(self, shop: World, filled: Floats, random: np.random.Generator) -> Floats:
        """Totals of random blocks, (r, n, draws)."""
        paths, items, days = filled.shape
        twice = np.concatenate([filled, filled], axis=2)
        running = np.concatenate([np.zeros((paths, items, 1)), np.cumsum(twice, axis=2)], axis=2)
        columns = random.integers(0, shop.lead_time_samples.shape[1], self.draws)
        lengths = np.minimum(shop.lead_time_samples[:, columns] + REVIEW_DAYS, days)
        starts = random.integers(0, days, (items, self.draws))
        rows = np.arange(items)[:, None]
        result: Floats = running[:, rows, starts + lengths] - running[:, rows, starts]
        return result


@dataclass(frozen=True)
class Clairvoyant:
    """Knows all demand and lead times to come; same packs, smallest orders and review."""

    name: str = "clairvoyant"
    every: int = 1

    def levels(self, seen: Seen) -> tuple[Floats, Floats]:
        """Stock until an order of the next evening arrives; an economic lot on top."""
        shop, day = seen.world, seen.day
        items, days = shop.demand.shape
        running = np.concatenate([np.zeros((items, 1)), np.cumsum(shop.demand, axis=1)], axis=1)
        tomorrow = min(day + REVIEW_DAYS, days - 1)
        end = np.minimum(tomorrow + 1 + shop.lead_times[:, :, tomorrow], days)
        until: npt.NDArray[np.float64] = running[np.arange(items)[None, :], end]
        need = until - running[:, day + 1]
        rate = shop.demand[:, day : day + 60].mean(axis=1)
        lot = np.sqrt(2 * ORDER_COST * np.maximum(rate, 1e-9) / shop.holding)
        extra = np.minimum(np.maximum(lot - 1, 0), np.maximum(running[:, -1] - until, 0))
        return need - 1e-9, need + extra
