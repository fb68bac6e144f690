"""Advises what to order, for one item or for all: the same code path with one row or many."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, func, insert, update
from sqlmodel import Session, col, select

from db.models.catalog import Item, Location
from db.models.planning import Forecast, ForecastRun, PlanningRun, Policy, Recommendation
from db.models.stock import StockLevel
from db.types import ItemStatus
from tools.clock import Clock
from tools.company import Company
from tools.replenishment.core.advice import Advice, advise_cases
from tools.replenishment.core.cases import (
    NO_CHANGE,
    Case,
    Change,
    Outlook,
    Settings,
    position_key,
)
from tools.stock.core import StockPosition
from tools.stock.service import Pair, positions_by_pair
from tools.suppliers.core import LeadTime, Offer
from tools.suppliers.service import (
    DeliveryHistory,
    exchange_rates,
    offer_lead_time,
    offers_by_item,
)

_BOUGHT = (ItemStatus.NEW, ItemStatus.ACTIVE)
_CHUNK = 2000


def today_of(clock: Clock, company: Company) -> date:
    """Return the current day in the company's time zone."""
    return clock.now().astimezone(ZoneInfo(company.timezone)).date()


def plan_all(session: Session, *, clock: Clock, company: Company) -> PlanningRun:
    """Plan every item at every location and keep the result as a run.

    Writes a default policy where there is none, the computed numbers of all policies, and one
    recommendation per item and location. The arithmetic runs on arrays, the writing in bulk.
    """
    started_at = clock.now()
    _create_missing_policies(session)
    advices = _fresh(session, clock=clock, company=company)
    run = PlanningRun(
        forecast_run_id=max((a.inputs["forecast_run"] or 0 for a in advices), default=0) or None,
        as_of_at=started_at,
        started_at=started_at,
        item_count=len(advices),
    )
    session.add(run)
    session.flush()
    policies = _policy_ids(session)
    _update_policies(session, advices, policies, clock)
    rows = [
        _row(advice, policies[(advice.case.item_id, advice.case.location_id)], run.id)
        for advice in advices
    ]
    for first in range(0, len(rows), _CHUNK):
        session.execute(insert(Recommendation), rows[first : first + _CHUNK])
    run.finished_at = clock.now()
    session.flush()
    return run


def advise(
    session: Session, item: Item, location: Location, *, clock: Clock, company: Company
) -> Recommendation:
    """Return fresh advice for one item at one location, not stored."""
    advice = advise_pair(session, item.id, location.id, clock=clock, company=company)
    policies = _policy_ids(session, item_ids=[item.id])
    return Recommendation(**_row(advice, policies.get((item.id, location.id)), None))


def advise_pair(
    session: Session,
    item_id: int,
    location_id: int,
    *,
    clock: Clock,
    company: Company,
    change: Change = NO_CHANGE,
    overrides: dict[str, Any] | None = None,
    without_unsent: bool = False,
) -> Advice:
    """Advise on one item with everything that went into it.

    Args:
        session: Database session.
        item_id: The item.
        location_id: The location.
        clock: Today.
        company: Currency and carrying rate.
        change: A scenario on demand and lead time.
        overrides: Fields of the policy to replace, for a what-if.
        without_unsent: Leave out drafts and orders that have not been sent: what they are for.
    """
    cases = _cases(session, today_of(clock, company), [item_id], location_id)
    case = cases[0]
    if overrides:
        settings = replace(case.settings, **overrides)
        case = replace(case, settings=replace(settings, label=f"{settings.label}, changed"))
    if without_unsent:
        case = replace(case, position=without_unsent_orders(case.position))
    return _advise(session, [case], clock=clock, company=company, change=change)[0]


def case_of(
    session: Session, item_id: int, location_id: int, *, clock: Clock, company: Company
) -> Case:
    """Return everything that is known about one item at one location."""
    return _cases(session, today_of(clock, company), [item_id], location_id)[0]


def without_unsent_orders(position: StockPosition) -> StockPosition:
    """Return the position as it would be without drafts and orders that nobody has sent."""
    unsent = ("pending_approval", "approved")
    receipts = tuple(r for r in position.receipts if r.state not in unsent)
    return replace(position, receipts=receipts, drafts=())


def _fresh(
    session: Session,
    *,
    clock: Clock,
    company: Company,
    item_ids: Iterable[int] | None = None,
    location_id: int | None = None,
) -> list[Advice]:
    wanted = None if item_ids is None else list(item_ids)
    cases = _cases(session, today_of(clock, company), wanted, location_id)
    return _advise(session, cases, clock=clock, company=company)


def _advise(
    session: Session,
    cases: Sequence[Case],
    *,
    clock: Clock,
    company: Company,
    change: Change = NO_CHANGE,
) -> list[Advice]:
    return advise_cases(
        cases,
        today=today_of(clock, company),
        rates_micro=exchange_rates(session, company),
        carrying_rate=company.carrying_rate,
        change=change,
    )


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


def current_recommendations(
    session: Session,
    *,
    clock: Clock,
    company: Company,
    location_id: int | None = None,
    item_ids: Sequence[int] | None = None,
) -> CurrentAdvice:
    """Return one recommendation per item: stored ones that still hold, fresh ones elsewhere.

    A stored recommendation holds on the day of its run while the position, the policy and the
    forecast behind it are unchanged.
    """
    run = latest_run(session)
    today = today_of(clock, company)
    if run is None or today_of(_At(run.as_of_at), company) != today:
        fresh = _fresh(
            session, clock=clock, company=company, item_ids=item_ids, location_id=location_id
        )
        return CurrentAdvice([_unsaved(session, advice) for advice in fresh], None, len(fresh))
    stored = latest_recommendations(session, run, location_id=location_id, item_ids=item_ids)
    changed = _changed_pairs(session, stored, today, location_id, item_ids)
    kept = [Current(r, True) for r in stored if (r.item_id, r.location_id) not in changed]
    advices = (
        _fresh(
            session, clock=clock, company=company, item_ids={pair[0] for pair in changed},
            location_id=location_id,
        )
        if changed
        else []
    )  # fmt: skip
    fresh_ones = [
        _unsaved(session, advice)
        for advice in advices
        if (advice.case.item_id, advice.case.location_id) in changed
    ]
    return CurrentAdvice(kept + fresh_ones, run, len(fresh_ones))


@dataclass(frozen=True)
class _At:
    at: Any

    def now(self) -> Any:
        return self.at


def latest_run(session: Session) -> PlanningRun | None:
    """Return the last finished planning run."""
    statement = (
        select(PlanningRun)
        .where(col(PlanningRun.finished_at).is_not(None))
        .order_by(col(PlanningRun.id).desc())
        .limit(1)
    )
    return session.exec(statement).first()


def latest_recommendations(
    session: Session,
    run: PlanningRun | None = None,
    *,
    location_id: int | None = None,
    item_ids: Sequence[int] | None = None,
) -> list[Recommendation]:
    """Return the recommendations of a run, by default the latest; empty without a run."""
    chosen = run or latest_run(session)
    if chosen is None:
        return []
    statement = select(Recommendation).where(Recommendation.run_id == chosen.id)
    if location_id is not None:
        statement = statement.where(Recommendation.location_id == location_id)
    if item_ids is not None:
        statement = statement.where(col(Recommendation.item_id).in_(item_ids))
    return list(session.exec(statement))


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
        for p in _policies(session, item_ids, location_id).values()
    }
    newest = _newest_forecasts(session, item_ids)
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


def _newest_forecasts(session: Session, item_ids: Sequence[int] | None) -> dict[Pair, int]:
    newest = _newest_runs().subquery()
    statement = select(newest.c.item_id, newest.c.location_id, newest.c.run_id)
    if item_ids is not None:
        statement = statement.where(newest.c.item_id.in_(item_ids))
    return {(row[0], row[1]): row[2] for row in session.execute(statement)}


def _unsaved(session: Session, advice: Advice) -> Current:
    row = _row(advice, None, None)
    return Current(Recommendation(**row), is_stored=False)


def _cases(
    session: Session, today: date, item_ids: list[int] | None, location_id: int | None
) -> list[Case]:
    """Read everything about some items (all by default) in a fixed number of queries."""
    items = _items(session, item_ids)
    locations = {place.id: place for place in session.exec(select(Location))}
    found = positions_by_pair(session, location_id, item_ids=item_ids, as_of=today)
    policies = _policies(session, item_ids, location_id)
    outlooks = _outlooks(session, item_ids, location_id)
    offers = offers_by_item(session, item_ids)
    suppliers = None if item_ids is None else {o.supplier_id for s in offers.values() for o in s}
    history = DeliveryHistory(session, suppliers)
    pairs = found.keys() | policies.keys() | outlooks.keys()
    if item_ids is not None and location_id is not None:
        pairs |= {(item_id, location_id) for item_id in item_ids}
    return [
        _case(
            items[pair[0]],
            locations[pair[1]],
            found.get(pair, StockPosition(*pair)),
            policies.get(pair),
            outlooks.get(pair),
            [(offer, offer_lead_time(history, offer)) for offer in offers.get(pair[0], [])],
        )
        for pair in sorted(pairs)
        if pair[0] in items
    ]


def _case(
    item: Item,
    location: Location,
    position: StockPosition,
    policy: Policy | None,
    outlook: Outlook | None,
    offers: Sequence[tuple[Offer, LeadTime]],
) -> Case:
    return Case(
        item_id=item.id,
        location_id=location.id,
        sku=item.sku,
        name=item.name,
        uom=item.uom,
        location=location.code,
        currency=item.currency,
        unit_value_minor=item.unit_price_minor or item.unit_cost_minor,
        unit_cost_minor=item.unit_cost_minor,
        position=position,
        settings=_settings(policy),
        outlook=outlook,
        offers=tuple(offers),
        shelf_life_days=item.shelf_life_days,
        is_buyable=item.status in _BOUGHT,
    )


def policy_label(policy: Policy) -> str:
    """Return how a policy is cited: its id and the version of what people set."""
    return f"policy {policy.id} v{policy.version}"


def _settings(policy: Policy | None) -> Settings:
    if policy is None:
        return Settings()
    return Settings(
        service_rate=policy.service_rate,
        measure=policy.measure,
        method=policy.method,
        review_days=policy.review_period_days,
        cover_days=policy.cover_days,
        label=policy_label(policy),
    )


def _items(session: Session, item_ids: list[int] | None) -> dict[int, Item]:
    statement = select(Item)
    if item_ids is None:
        statement = statement.where(Item.status != ItemStatus.DISCONTINUED)
    else:
        statement = statement.where(col(Item.id).in_(item_ids))
    return {item.id: item for item in session.exec(statement)}


def _policies(
    session: Session, item_ids: Sequence[int] | None, location_id: int | None
) -> dict[Pair, Policy]:
    statement = select(Policy)
    if item_ids is not None:
        statement = statement.where(col(Policy.item_id).in_(item_ids))
    if location_id is not None:
        statement = statement.where(Policy.location_id == location_id)
    return {(p.item_id, p.location_id): p for p in session.exec(statement)}


def _newest_runs() -> Select[Any]:
    """Per item and location the last finished run that forecast it."""
    statement: Select[Any] = (
        select(
            Forecast.item_id, Forecast.location_id, func.max(Forecast.run_id).label("run_id")
        )
        .join(ForecastRun, col(ForecastRun.id) == col(Forecast.run_id))
        .where(col(ForecastRun.finished_at).is_not(None))
        .group_by(col(Forecast.item_id), col(Forecast.location_id))
    )
    return statement


def _outlooks(
    session: Session, item_ids: list[int] | None, location_id: int | None
) -> dict[Pair, Outlook]:
    newest = _newest_runs().subquery()
    statement: Any = (
        select(Forecast, ForecastRun.as_of_on)
        .join(ForecastRun, col(ForecastRun.id) == col(Forecast.run_id))
        .join(
            newest,
            (newest.c.item_id == Forecast.item_id)
            & (newest.c.location_id == Forecast.location_id)
            & (newest.c.run_id == Forecast.run_id),
        )
    )
    if item_ids is not None:
        statement = statement.where(col(Forecast.item_id).in_(item_ids))
    if location_id is not None:
        statement = statement.where(Forecast.location_id == location_id)
    return {
        (row.item_id, row.location_id): _outlook(row, as_of_on)
        for row, as_of_on in session.exec(statement)
    }


def _outlook(row: Forecast, as_of_on: date) -> Outlook:
    return Outlook(
        forecast_id=row.id,
        run_id=row.run_id,
        model=row.model,
        demand_class=row.demand_class,
        as_of_on=as_of_on,
        mean=row.mean,
        total_sd=row.total_sd,
        total_quantiles=row.total_quantiles,
        adi=row.adi,
    )


def _create_missing_policies(session: Session) -> None:
    stocked = select(StockLevel.item_id, StockLevel.location_id).union(
        select(Forecast.item_id, Forecast.location_id)
    )
    known = set(_policies(session, None, None))
    missing = [tuple(row) for row in session.execute(stocked) if tuple(row) not in known]
    for first in range(0, len(missing), _CHUNK):
        rows = [{"item_id": i, "location_id": p} for i, p in missing[first : first + _CHUNK]]
        session.execute(insert(Policy), rows)


def _policy_ids(session: Session, item_ids: Sequence[int] | None = None) -> dict[Pair, int]:
    return {pair: policy.id for pair, policy in _policies(session, item_ids, None).items()}


def _update_policies(
    session: Session, advices: Sequence[Advice], policies: dict[Pair, int], clock: Clock
) -> None:
    rows = []
    for advice in advices:
        numbers, outlook = advice.inputs, advice.case.outlook
        is_known = outlook is not None and advice.offer is not None
        rows.append(
            {
                "id": policies[(advice.case.item_id, advice.case.location_id)],
                "forecast_id": None if outlook is None else outlook.forecast_id,
                "computed_at": clock.now(),
                "demand_mean": numbers["demand_per_day"],
                "demand_sd": numbers["demand_sd"],
                "lead_time_mean_days": numbers["lead_time_days"],
                "lead_time_sd_days": numbers["lead_time_sd"],
                "lead_time_count": numbers["lead_time_n"],
                "distribution": numbers["distribution"] if is_known else None,
                "sigma_ltd_units": numbers["sigma_ltd"] if is_known else None,
                "safety_stock_units": numbers["safety_stock"] if is_known else None,
                "reorder_point_units": numbers["reorder_point"] if is_known else None,
                "order_up_to_units": numbers["order_up_to"] if is_known else None,
            }
        )
    for first in range(0, len(rows), _CHUNK):
        session.execute(update(Policy), rows[first : first + _CHUNK])


def _row(advice: Advice, policy_id: int | None, run_id: int | None) -> dict[str, Any]:
    """Columns of a recommendation."""
    return {
        "run_id": run_id,
        "item_id": advice.case.item_id,
        "location_id": advice.case.location_id,
        "policy_id": policy_id,
        "supplier_id": None if advice.offer is None else advice.offer.supplier_id,
        "action": advice.action,
        "order_units": advice.quantity,
        "unit_price_minor": advice.unit_price_minor,
        "amount_minor": advice.amount_minor,
        "currency": advice.currency,
        "need_by_on": advice.need_by_on,
        "latest_order_on": advice.latest_order_on,
        "projected_stockout_on": advice.stockout_on,
        "inventory_position_units": advice.inputs["inventory_position"],
        "reorder_point_units": advice.inputs["reorder_point"],
        "days_of_cover": advice.days_of_cover,
        "severity": advice.severity,
        "value_at_risk_minor": advice.value_at_risk_minor,
        "waterfall": advice.waterfall,
        "inputs": advice.inputs,
        "flags": advice.flags,
    }


