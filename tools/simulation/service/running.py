"""Simulates baseline and scenario of many items on the same chances, block by block."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlmodel import Session

from db.models.catalog import Supplier
from tools.cases.core import Case
from tools.cases.service import today_of
from tools.clock import Clock
from tools.company import Company
from tools.errors import InvalidInput
from tools.offers.core import Delivery, unrated_notes
from tools.offers.service import DeliveryHistory, exchange_rates
from tools.planning.core.advice import Advice, advise_cases
from tools.planning.core.tables import Change
from tools.simulation.core.comparison import (
    Figures,
    ItemChange,
    difference,
    figures,
    item_changes,
    side,
)
from tools.simulation.core.draws import LEAST_SAMPLE, Streams
from tools.simulation.core.engine import simulate
from tools.simulation.core.house import (
    NEVER_SEEN,
    Setting,
    Shipping,
    daily_means,
    deliveries_of,
    demand_of,
    house,
    reach_days,
)
from tools.simulation.core.paths import changed_demand
from tools.simulation.core.scenario import ScenarioRequest
from tools.simulation.core.world import Draws, Floats

Progress = Callable[[int, int], None]
DEFAULT_SEED = 2026
BLOCK = 500  # items simulated at once: bounded memory for any number of items
_CELLS = 1_500_000  # items * paths * days of a block, about 0.3 s
_FEWEST, _MOST = 40, 400  # paths
ASSUMPTIONS = (
    "what is not on hand is not sold",
    "every order that the plan advises is placed on its day",
    "the forecast does not learn from what is sold meanwhile",
    "cost is holding, ordering and the margin of what is not sold",
)


@dataclass
class Result:
    """Sums of baseline, scenario, and the scenario that nobody plans for."""

    seed: int
    paths: int
    days: int
    before: Figures | None = None
    after: Figures | None = None
    unprepared: Figures | None = None
    items: list[ItemChange] = field(default_factory=list)
    currencies: set[str] = field(default_factory=set)

    def add(self, before: Figures, after: Figures, unprepared: Figures) -> None:
        """Take in a block of items."""
        self.before = before if self.before is None else self.before + before
        self.after = after if self.after is None else self.after + after
        self.unprepared = unprepared if self.unprepared is None else self.unprepared + unprepared

    def data(self, currency: str) -> dict[str, Any]:
        """Return the result, ready for JSON."""
        if self.before is None or self.after is None or self.unprepared is None:
            raise InvalidInput("nothing was simulated")
        return {
            "seed": self.seed,
            "paths": self.paths,
            "days": self.days,
            "currency": currency,
            "baseline": side(self.before, currency),
            "scenario": side(self.after, currency),
            "delta": difference(self.before, self.after, currency),
            "unprepared": difference(self.before, self.unprepared, currency),
            "assumptions": list(ASSUMPTIONS),
            "unrated": unrated_notes(self.currencies),
        }


class Desk:
    """One what-if: today, the rates, the change; advises and simulates."""

    def __init__(
        self,
        session: Session,
        request: ScenarioRequest,
        *,
        clock: Clock,
        company: Company,
        supplier: Supplier | None = None,
    ) -> None:
        self.session, self.request = session, request
        self.supplier_id = None if supplier is None else supplier.id
        today = today_of(clock, company)
        self.change = request.change(today)
        self.rates = exchange_rates(session, company)
        self.setting = Setting(today, request.horizon_days, self.rates, company.carrying_rate)

    def advise(self, cases: Sequence[Case], change: Change | None = None) -> list[Advice]:
        """Advise on cases, by default without a change of demand."""
        return advise_cases(
            cases,
            today=self.setting.today,
            rates_micro=self.rates,
            carrying_rate=self.setting.carrying_rate,
            change=change or Change(),
        )

    def plannable(self, cases: Sequence[Case]) -> tuple[list[Case], dict[str, int]]:
        """Return the cases that can be simulated, and how many cannot, by reason."""
        kept: list[Case] = []
        left_out: dict[str, int] = {}
        for case in cases:
            reason = _reason(case)
            if reason is None:
                kept.append(case)
            else:
                left_out[reason] = left_out.get(reason, 0) + 1
        if self.supplier_id is not None:
            chosen = [advice.offer for advice in self.advise(kept)]
            bought = [offer and offer.supplier_id == self.supplier_id for offer in chosen]
            kept = [case for case, is_bought in zip(kept, bought, strict=True) if is_bought]
            if others := len(bought) - len(kept):
                left_out["bought from others"] = others
        return kept, dict(sorted(left_out.items()))

    def simulation(
        self, cases: Sequence[Case], *, seed: int, progress: Progress | None = None
    ) -> Result:
        """Simulate baseline and scenario on the same demand and the same luck, block by block."""
        days = self.setting.days
        paths = _CELLS // (min(len(cases), BLOCK) * days)
        result = Result(seed, min(max(paths, _FEWEST), _MOST), days)
        shipping = self._shipping(cases)
        for first in range(0, len(cases), BLOCK):
            block = cases[first : first + BLOCK]
            self._simulate(block, result, shipping, Streams(seed, part=first // BLOCK))
            if progress is not None:
                progress(first + len(block), len(cases))
        return result

    def _simulate(
        self,
        cases: Sequence[Case],
        result: Result,
        shipping: Mapping[int, Shipping],
        streams: Streams,
    ) -> None:
        now = self.advise(cases)
        then = self.advise([self.request.changed(case, self.supplier_id) for case in cases])
        plain = daily_means(cases, self.setting.today, reach_days([*now, *then], result.days))
        daily = plain * _factors(self.change, plain.shape[1])
        late = self.request.supply_delay_days
        before = house(now, plain=plain, daily=plain, setting=self.setting)
        after = house(then, plain=plain, daily=daily, setting=self.setting, late_days=late)
        common: dict[str, Any] = {
            "setting": self.setting, "paths": result.paths, "streams": streams,
        }  # fmt: skip
        demand = demand_of(now, plain=plain, **common)
        factors = _factors(self.change, result.days)
        raised = changed_demand(demand, factors, streams.rounding)
        usual = Draws(demand, deliveries_of(now, shipping, **common))
        other = Draws(raised, deliveries_of(then, shipping, **common))
        base = simulate(before.items, usual, before.levels, is_morning=True)
        planned = simulate(after.items, other, after.levels, is_morning=True)
        unaware = simulate(after.items, other, before.levels, is_morning=True)
        result.add(figures(base, before), figures(planned, after), figures(unaware, after))
        names = [(case.sku, case.location) for case in cases]
        result.items += item_changes(base, planned, names)
        result.currencies |= self._unrated(now)

    def _unrated(self, advices: Sequence[Advice]) -> set[str]:
        return {code for advice in advices for code in advice.inputs["unrated"]}

    def _shipping(self, cases: Sequence[Case]) -> dict[int, Shipping]:
        suppliers = {offer.supplier_id for case in cases for offer, _ in case.offers}
        history = DeliveryHistory(self.session, suppliers)
        return {one: _shipping_of(history.of_supplier(one)) for one in suppliers}


def _factors(change: Change, days: int) -> Floats:
    """Demand under the scenario over the usual one, by day."""
    factors = np.ones(days)
    factors[max(change.first_day, 0) : change.last_day + 1] = change.demand_factor
    return factors


def _shipping_of(deliveries: Sequence[Delivery]) -> Shipping:
    if len(deliveries) < LEAST_SAMPLE:
        return NEVER_SEEN
    days = tuple(delivery.days for delivery in deliveries)
    shares = [d.received_units / d.ordered_units for d in deliveries if d.ordered_units > 0]
    parts = [share for share in shares if 0 < share < 1]
    if not parts:
        return Shipping(days)
    return Shipping(days, len(parts) / len(shares), min(max(sum(parts) / len(parts), 0.05), 0.95))


def _reason(case: Case) -> str | None:
    if case.outlook is None:
        return "no forecast"
    if case.is_new:
        return "too few days of sales"
    if not case.is_buyable:
        return "not bought any more"
    if not any(offer.is_usable for offer, _ in case.offers):
        return "nobody sells it"
    return None if case.has_demand else "no demand expected"
