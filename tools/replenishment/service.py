"""Plans and recommends: stored advice while it holds, fresh advice elsewhere, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from db.models.catalog import Item, Location, Supplier
from db.models.planning import PlanningRun, Recommendation
from db.types import Action
from tools.cases.service import (
    day_in_company,
    discontinued_items,
    newest_forecast_runs,
    policies_by_pair,
    policy_label,
    today_of,
)
from tools.clock import Clock
from tools.company import Company
from tools.money import amount_text, in_company_minor
from tools.offers.core import unrated_notes
from tools.offers.service import exchange_rates
from tools.planning.core.advice import Advice
from tools.planning.core.tables import position_key
from tools.planning.service import (
    advise_pair,
    as_recommendation,
    fresh_advice,
    latest_recommendations,
    latest_run,
    plan_all,
    policy_ids,
    recommendation_row,
)
from tools.positions.core import StockPosition
from tools.positions.service import Pair, positions_by_pair
from tools.reach.service import PairsHere
from tools.reasons.service import explain, items_by_id
from tools.replenishment.core import budget_view, joint_views, line_view

__all__ = [
    "CurrentAdvice",
    "advise",
    "current_recommendations",
    "explain",
    "latest_recommendations",
    "latest_run",
    "order_list",
    "plan_all",
]

_CHUNK = 2000
_MOST_NAMED = 500  # more changed items than this are read with all the others


def advise(
    session: Session, item: Item, location: Location, *, clock: Clock, company: Company
) -> Recommendation:
    """Return fresh advice for one item at one location, not stored."""
    advice = advise_pair(session, item.id, location.id, clock=clock, company=company)
    policies = policy_ids(session, item_ids=[item.id])
    return Recommendation(**recommendation_row(advice, policies.get((item.id, location.id)), None))


@dataclass(frozen=True)
class Current:
    """A recommendation as it stands now: the stored row while it holds, else fresh advice."""

    recommendation: Recommendation
    is_stored: bool

    @property
    def public_id(self) -> str | None:
        """Number of a stored recommendation, such as R-12."""
        return f"R-{self.recommendation.id}" if self.is_stored else None


@dataclass(frozen=True)
class CurrentAdvice:
    """All current recommendations of a scope; ``run`` is the stored run if it was used."""

    items: list[Current]
    run: PlanningRun | None
    recomputed: int

    @property
    def warnings(self) -> list[str]:
        """Say when numbers are newer than the last planning run."""
        if self.run is None:
            return ["computed now: there is no planning run of today"]
        if self.recomputed:
            return [
                f"stock, orders, forecast or policy changed for {self.recomputed} items: recomputed"
            ]
        return []


def current_recommendations(
    session: Session,
    *,
    clock: Clock,
    company: Company,
    location_id: int | None = None,
    item_ids: Sequence[int] | None = None,
) -> CurrentAdvice:
    """Return one recommendation per item: stored ones that still hold, fresh ones elsewhere.

    What this session may not see is left out. A stored recommendation holds on the day of its run
    while the position, the policy and the forecast behind it are unchanged. Discontinued items are
    left out unless they are named.
    """
    run = latest_run(session)
    today = today_of(clock, company)
    if run is None or day_in_company(run.as_of_at, company) != today:
        fresh = fresh_advice(
            session, clock=clock, company=company, item_ids=item_ids, location_id=location_id
        )
        shown = _in_reach(session, [_unsaved(advice) for advice in fresh])
        return CurrentAdvice(shown, None, len(fresh))
    stored = latest_recommendations(session, run, location_id=location_id, item_ids=item_ids)
    gone = discontinued_items(session) if item_ids is None else frozenset()
    stored = [row for row in stored if row.item_id not in gone]
    changed = _changed_pairs(session, stored, today, location_id, item_ids)
    changed = {pair for pair in changed if pair[0] not in gone}
    kept = [Current(r, True) for r in stored if (r.item_id, r.location_id) not in changed]
    few = {pair[0] for pair in changed} if len(changed) <= _MOST_NAMED else item_ids
    advices = (
        fresh_advice(session, clock=clock, company=company, item_ids=few, location_id=location_id)
        if changed
        else []
    )
    fresh_ones = [
        _unsaved(advice)
        for advice in advices
        if (advice.case.item_id, advice.case.location_id) in changed
    ]
    return CurrentAdvice(_in_reach(session, kept + fresh_ones), run, len(fresh_ones))


def _changed_pairs(
    session: Session,
    stored: Sequence[Recommendation],
    today: date,
    location_id: int | None,
    item_ids: Sequence[int] | None,
) -> set[Pair]:
    """Pairs whose stored advice no longer holds, and pairs that the run did not see."""
    now = positions_by_pair(session, location_id, item_ids=item_ids, as_of=today)
    labels = {
        (p.item_id, p.location_id): policy_label(p)
        for p in policies_by_pair(session, item_ids, location_id).values()
    }
    newest = newest_forecast_runs(session, item_ids)
    seen = {(r.item_id, r.location_id): r.inputs for r in stored}
    changed = {pair for pair in now if pair not in seen}
    for pair, inputs in seen.items():
        position = now.get(pair, StockPosition(*pair))
        holds = (
            inputs.get("position_key") == position_key(position)
            and inputs.get("policy_version") == labels.get(pair)
            and inputs.get("forecast_run") == newest.get(pair)
        )
        if not holds:
            changed.add(pair)
    return changed


def _in_reach(session: Session, found: list[Current]) -> list[Current]:
    """Leave out what this session may not see."""
    here = PairsHere(session)
    return [c for c in found if (c.recommendation.item_id, c.recommendation.location_id) in here]


def _unsaved(advice: Advice) -> Current:
    return Current(as_recommendation(advice), is_stored=False)


@dataclass(frozen=True)
class OrderList:
    """Lines to order, most valuable first, and how many items need none."""

    lines: list[tuple[Current, Item]]
    total_amount_minor: int | None  # company currency; None when no line's rate is known
    currency: str
    without_need: int
    as_of: datetime
    warnings: list[str]
    joint_orders: list[dict[str, Any]]  # below a supplier's minimum order value
    budget: dict[str, Any] | None = None

    def data(self, limit: int) -> dict[str, Any]:
        """Return the tool's data with at most ``limit`` lines."""
        shown = self.lines[:limit]
        return {
            "lines": [
                line_view(c.recommendation, item, c.public_id, company_currency=self.currency)
                for c, item in shown
            ],
            "total_lines": len(self.lines),
            "total_amount": None
            if self.total_amount_minor is None
            else amount_text(self.total_amount_minor, self.currency),
            "currency": self.currency,
            "items_without_need": self.without_need,
            **({"joint_orders": self.joint_orders} if self.joint_orders else {}),
            **({} if self.budget is None else {"budget": self.budget}),
        }

    def notes(self, limit: int) -> list[str]:
        """Return the warnings, with what was set aside from the demand behind the lines shown."""
        shown = self.lines[:limit]
        return self.warnings + [
            f"{item.sku}: {note}"
            for c, item in shown
            for note in c.recommendation.inputs.get("set_aside", [])
        ]

    def refs(self, limit: int) -> list[str]:
        """Return the numbers of the stored recommendations shown."""
        return [c.public_id for c, _ in self.lines[:limit] if c.public_id]


def order_list(
    session: Session,
    *,
    clock: Clock,
    company: Company,
    item: Item | None = None,
    supplier: Supplier | None = None,
    budget_minor: int | None = None,
) -> OrderList:
    """Return what to order now, by value at risk; what to hurry is listed among exceptions.

    With a budget (company minor units) it also says what that buys and what the cuts risk.
    """
    wanted = None if item is None else [item.id]
    found = current_recommendations(session, clock=clock, company=company, item_ids=wanted)
    due = [c for c in found.items if c.recommendation.action == Action.BUY]
    if supplier is not None:
        due = [c for c in due if c.recommendation.supplier_id == supplier.id]
    due.sort(key=_urgency)
    items = items_by_id(session, [c.recommendation.item_id for c in due])
    rates = exchange_rates(session, company)
    amounts = [(c.recommendation.amount_minor, c.recommendation.currency) for c in due]
    known = [in_company_minor(minor, rates[code]) for minor, code in amounts if code in rates]
    unrated = {code for c in due for code in c.recommendation.inputs.get("unrated", [])}
    lines = [(c, items[c.recommendation.item_id]) for c in due]
    chosen = [(c.recommendation, sold) for c, sold in lines]
    return OrderList(
        lines=lines,
        total_amount_minor=sum(known) if known or not due else None,
        currency=company.currency,
        without_need=len(found.items) - len(due),
        as_of=clock.now() if found.run is None else found.run.as_of_at,
        warnings=found.warnings + unrated_notes(unrated),
        joint_orders=joint_views(_of_suppliers(session, found.items, due)),
        budget=None
        if budget_minor is None
        else budget_view(
            chosen, budget_minor, rates_micro=rates, company_currency=company.currency
        ),
    )


def _of_suppliers(
    session: Session, current: Sequence[Current], due: Sequence[Current]
) -> list[tuple[Recommendation, Item]]:
    """Everything that the suppliers of the due lines sell, where they have a minimum order."""
    wanted = {
        (c.recommendation.supplier_id, c.recommendation.location_id)
        for c in due
        if c.recommendation.inputs.get("min_order_value_minor")
    }
    rows = [c.recommendation for c in current]
    rows = [row for row in rows if (row.supplier_id, row.location_id) in wanted]
    items = items_by_id(session, sorted({row.item_id for row in rows}))
    return [(row, items[row.item_id]) for row in rows]


def _urgency(current: Current) -> tuple[int, str, int]:
    r = current.recommendation
    return (-r.value_at_risk_minor, r.severity, r.item_id)
