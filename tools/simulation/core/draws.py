"""Chances drawn before any policy is known: lead times and partial receipts.

Every stream has a generator of its own, so that more draws of one kind leave the others as they
were: the same seed gives the same demand under any lead time.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv

from tools.errors import InvalidInput
from tools.simulation.core.world import Deliveries

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LEAST_SAMPLE = 8  # receipts; fewer say little about a tail, and the gamma distribution fills in
TABLE_SIZE = 101
_SURE = 0.25  # days; a smaller spread is that of rounding to whole days


class Streams:
    """Independent generators of one seed; every supplier has its own.

    What is drawn for one supplier does not depend on which others take part. ``part`` numbers the
    blocks of a long run: each has demand of its own, all share the luck of the suppliers.
    """

    def __init__(self, seed: int, *, part: int = 0) -> None:
        if seed < 0:
            raise InvalidInput(f"a seed must be a whole number >= 0, got {seed!r}")
        self.seed = seed
        self.demand = self._of(0, part)
        self.rounding = self._of(1, part)

    def deliveries(self, supplier: int) -> np.random.Generator:
        """Generator of a supplier's lead times, from its start."""
        return self._of(2, supplier)

    def shares(self, supplier: int) -> np.random.Generator:
        """Generator of a supplier's partial receipts, from its start."""
        return self._of(3, supplier)

    def _of(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


def lead_time_table(
    mean: Floats,
    sd: Floats,
    *,
    samples: Sequence[Sequence[float] | Floats] | None = None,
    size: int = TABLE_SIZE,
) -> Ints:
    """Equally likely lead times, sorted, in whole days.

    An observed sample gives the shape, moved and stretched to the wanted mean and deviation; where
    it is too small or shows no spread, a gamma distribution takes its place, because real lead
    times are skewed and never negative.

    Args:
        mean: Days, shape (g,), >= 0.
        sd: Days, shape (g,), >= 0.
        samples: Observed lead times of each group.
        size: Lead times in the table.

    Returns:
        Shape (g, size).

    Raises:
        InvalidInput: A value is negative or not a number.

    Example:
        >>> lead_time_table(np.array([9.0]), np.array([0.0]), size=3).tolist()
        [[9, 9, 9]]
    """
    if not (np.all(mean >= 0) and np.all(sd >= 0)):
        raise InvalidInput(f"lead times need means and deviations >= 0, got {mean!r} and {sd!r}")
    ranks = (np.arange(size) + 0.5) / size
    table = _gamma_table(mean, sd, ranks)
    for row, sample in enumerate(samples or ()):
        seen = np.asarray(sample, dtype=np.float64)
        if len(seen) >= LEAST_SAMPLE and seen.std() > 0 and sd[row] >= _SURE:
            scores = (np.quantile(seen, ranks, method="inverted_cdf") - seen.mean()) / seen.std()
            table[row] = mean[row] + sd[row] * scores
    # whole days on average: 9.4 days are 9 in six cases of ten; 7 is coprime to 101
    dither = ((np.arange(size) * 7) % size + 0.5) / size
    whole = np.floor(np.maximum(table, 0.0) + dither).astype(np.int64)
    spread = np.where((sd < _SURE)[:, None], whole, np.rint(np.maximum(table, 0)))
    result: Ints = np.sort(spread.astype(np.int64), axis=1)
    return result


def _gamma_table(mean: Floats, sd: Floats, ranks: Floats) -> Floats:
    is_spread = (sd >= _SURE) & (mean > 0)
    safe_mean = np.where(is_spread, mean, 1.0)
    safe_sd = np.where(is_spread, sd, 1.0)
    shape = (safe_mean / safe_sd) ** 2
    drawn = gammaincinv(shape[:, None], ranks[None, :]) * (safe_sd**2 / safe_mean)[:, None]
    result: Floats = np.where(is_spread[:, None], drawn, mean[:, None])
    return result


def delivery_draws(
    table: Ints,
    supplier: Ints,
    *,
    paths: int,
    days: int,
    streams: Streams,
    partial_rate: Floats | None = None,
    partial_share: Floats | float = 0.5,
    rest_days: Ints | int = 7,
) -> Deliveries:
    """Draw what orders of every day would meet.

    One rank is drawn per supplier, path and day: what is ordered from a supplier on one day comes
    early or late together. Items without a common table still share the rank.

    Args:
        table: Lead times of each item, shape (n, size), as ``lead_time_table`` gives them.
        supplier: Number >= 0 of each item's supplier, shape (n,).
        paths: p.
        days: T.
        streams: Generators.
        partial_rate: Share of orders that come in two parts, shape (n,) or a number; None is none.
        partial_share: Share of the units that comes first, in (0, 1).
        rest_days: Days from the first part to the rest, >= 1.

    Raises:
        InvalidInput: A share is outside its range.
    """
    suppliers, number = np.unique(supplier, return_inverse=True)
    # items with the same supplier and the same table share a row
    keys = np.column_stack([number, table])
    groups, first, row = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    ranks = _ranks([streams.deliveries(int(one)) for one in suppliers], paths, days)
    at = (ranks * table.shape[1]).astype(np.int64)[groups[:, 0]]
    lead = np.stack([table[item][drawn] for item, drawn in zip(first, at, strict=True)])
    row = row.reshape(-1)
    if partial_rate is None:
        return Deliveries(lead, row)
    rate = np.broadcast_to(np.asarray(partial_rate, dtype=np.float64), (len(supplier),))[first]
    share = np.broadcast_to(np.asarray(partial_share, dtype=np.float64), (len(supplier),))[first]
    rest = np.broadcast_to(np.asarray(rest_days, dtype=np.int64), (len(supplier),))[first]
    _check_parts(rate, share, rest)
    parts = _ranks([streams.shares(int(one)) for one in suppliers], paths, days)
    drawn = parts[groups[:, 0]]
    shares = np.where(drawn < rate[:, None, None], share[:, None, None], 1.0)
    return Deliveries(lead, row, shares, np.broadcast_to(rest[:, None, None], lead.shape))


def _ranks(generators: Sequence[np.random.Generator], paths: int, days: int) -> Floats:
    """Uniform ranks, shape (suppliers, p, T)."""
    return np.array([rng.random((paths, days)) for rng in generators]).reshape(-1, paths, days)


def _check_parts(rate: Floats, share: Floats, rest: Ints) -> None:
    if not np.all((rate >= 0) & (rate <= 1)):
        raise InvalidInput(f"a share of partial receipts must lie in [0, 1], got {rate!r}")
    if not np.all((share > 0) & (share < 1)):
        raise InvalidInput(f"a first part must lie in (0, 1), got {share!r}")
    if not np.all(rest >= 1):
        raise InvalidInput(f"the rest comes 1 day later or more, got {rest!r}")
