"""Find the weights of the replenishment levels by replaying a training period in closed loop.

    python -m bench.closed_loop_search SOURCE [GENERATIONS]

``SOURCE`` is online_retail_daily.parquet; no day after the 170th is looked at. The first 80 days
are the past, the rest is replayed, forwards and backwards: the reversed one is a shop whose demand
rises towards Christmas. A candidate's score is the mean of its total costs over those of a
bootstrap on a smoothed level, a common scale for shops of different size. Candidates come from a
small evolution strategy on the logarithms of the weights.

The shipped weights come from several such searches, each begun where the last one ended; the
optimum is flat, so another run ends on other weights of about the same cost.
"""

import sys
from dataclasses import fields
from pathlib import Path

import numpy as np

from bench import panel
from bench.closed_loop import Ours
from bench.plant import Floats, World, simulate, world
from bench.reference_policies import Bootstrap
from tools.planning.core.levels.replenishment import LevelWeights

SEARCHED = [f.name for f in fields(LevelWeights) if f.name != "scale"]
LAST_DAY, PAST = 170, 80  # nothing later is looked at; days of history before the replay
START = LevelWeights(
    slow=0.4, steady=0.35, fast=0.2, capped=0.3, grown=0.2, worst_window=0.5, worst_day=0.08,
    spread=0.4, tail_power=0.1, floor=1.0, off_season=0.5, lot_factor=1.4,
)  # fmt: skip
CANDIDATES, CHOSEN = 14, 5
JUDGED, ITEMS, REPLICATIONS, SEED = 300, 800, 2, 11


def shops(source: Path) -> list[World]:
    """The training shops: the judged items and the next 500, forwards and backwards."""
    judged = panel.build(source, items=JUDGED)
    every = panel.build(source, items=ITEMS)
    found = []
    for rows in (judged, every[~every["sku"].isin(judged["sku"])]):
        wide = rows.pivot(index="sku", columns="day", values="units")
        units = wide.reindex(columns=range(LAST_DAY)).fillna(0.0).to_numpy(np.float64)
        price = rows.groupby("sku")["price"].first().to_numpy(np.float64)
        for replayed in (units, units[:, ::-1]):
            known = replayed[:, :PAST].sum(axis=1) > 0
            past, future = replayed[known, :PAST], replayed[known, PAST:]
            found.append(world(past, future, price[known], replications=REPLICATIONS, seed=SEED))
    return found


def search(trained: list[World], generations: int) -> LevelWeights:
    """Move the mean of the candidates towards the best of each generation."""
    random = np.random.default_rng(3)
    scales = [simulate(shop, Bootstrap("scale", 0.98, 0.03)).total for shop in trained]
    mean = np.log([getattr(START, name) for name in SEARCHED])
    step = np.full(len(SEARCHED), 0.25)
    shares = np.log(CHOSEN + 0.5) - np.log(np.arange(1, CHOSEN + 1))
    shares /= shares.sum()
    for generation in range(generations):
        moves = random.normal(size=(CANDIDATES // 2, len(SEARCHED)))
        points = mean + step * np.concatenate([moves, -moves])
        points[0] = mean
        scores = [_score(point, trained, scales) for point in points]
        best = points[np.argsort(scores)[:CHOSEN]]
        spread = np.sqrt(shares @ (best - mean) ** 2)
        step = np.clip(0.7 * step + 0.33 * spread, 0.04, 0.6)
        mean = shares @ best
        print(generation, round(scores[0], 4), round(min(scores), 4), _weights(mean), flush=True)
    return _weights(mean)


def _weights(logarithms: Floats) -> LevelWeights:
    values = dict(zip(SEARCHED, np.exp(logarithms).round(2).tolist(), strict=True))
    values["off_season"] = min(values["off_season"], 1.0)
    return LevelWeights(**values)


def _score(point: Floats, trained: list[World], scales: list[float]) -> float:
    policy = Ours(_weights(point))
    pairs = zip(trained, scales, strict=True)
    return float(np.mean([simulate(shop, policy).total / scale for shop, scale in pairs]))


if __name__ == "__main__":
    generations = int(sys.argv[2]) if len(sys.argv) > 2 else 40
    print(search(shops(Path(sys.argv[1])), generations))
