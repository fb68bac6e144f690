"""Advises what to order, for one item or for all: the same code path with one row or many."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import insert, update
from sqlmodel import Session, col, select

from db.models.catalog import Item, Location
from db.models.planning import PlanningRun, Policy, Recommendation
from tools.cases.core import Case, Settings
from tools.cases.service import cases as read_cases
from tools.cases.service import policies_by_pair, policy_label, today_of
from tools.clock import Clock
from tools.company import Company
from tools.errors import InvalidInput, NotEnoughData
from tools.offers.service import exchange_rates
from tools.planning.core.advice import Advice, advise_cases
from tools.planning.core.tables import NO_CHANGE, Change
from tools.positions.core import StockPosition
from tools.positions.service import Pair

_CHUNK = 2000


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
    cases = read_cases(session, today_of(clock, company), [item_id], location_id)
    case = cases[0]
    if overrides:
        settings = replace(case.settings, **overrides)
        case = replace(case, settings=replace(settings, label=f"{settings.label}, changed"))
    if without_unsent:
        case = replace(case, position=without_unsent_orders(case.position))
    return _advise(session, [case], clock=clock, company=company, change=change)[0]


def without_unsent_orders(position: StockPosition) -> StockPosition:
    """Return the position as it would be without drafts and orders that nobody has sent."""
    unsent = ("pending_approval", "approved")
    receipts = tuple(r for r in position.receipts if r.state not in unsent)
    return replace(position, receipts=receipts, drafts=())


def fresh_advice(
    session: Session,
    *,
    clock: Clock,
    company: Company,
    item_ids: Iterable[int] | None = None,
    location_id: int | None = None,
    without_unsent: bool = False,
) -> list[Advice]:
    """Advise on some items, or on all, from what is stored now."""
    wanted = None if item_ids is None else list(item_ids)
    cases = read_cases(session, today_of(clock, company), wanted, location_id)
    if without_unsent:
        cases = [replace(c, position=without_unsent_orders(c.position)) for c in cases]
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


def plan_advice(session: Session, *, clock: Clock, company: Company) -> list[Advice]:
    """Advise on everything that is stocked, forecast or on order, with a policy for each.

    What people have not set gets the default policy first: advice cites the policy it rests on.
    """
    cases = read_cases(session, today_of(clock, company), None, None)
    missing = [case for case in cases if case.settings.label == Settings().label]
    for first in range(0, len(missing), _CHUNK):
        rows = [
            Policy(item_id=case.item_id, location_id=case.location_id).model_dump(exclude={"id"})
            for case in missing[first : first + _CHUNK]
        ]
        session.execute(insert(Policy), rows)
    if missing:
        known = policies_by_pair(session, None, None)
        cases = [
            replace(
                case, settings=_labelled(case.settings, known[(case.item_id, case.location_id)])
            )
            for case in cases
        ]
    return _advise(session, cases, clock=clock, company=company)


def _labelled(settings: Settings, policy: Policy) -> Settings:
    """The default settings under the name of the policy that now holds them."""
    is_new = settings.label == Settings().label
    return replace(settings, label=policy_label(policy)) if is_new else settings


def plan_all(session: Session, *, clock: Clock, company: Company) -> PlanningRun:
    """Plan every item at every location and keep the result as a run.

    Writes a default policy where there is none, the computed numbers of all policies, and one
    recommendation per item and location. The arithmetic runs on arrays, the writing in bulk.
    """
    started_at = clock.now()
    advices = plan_advice(session, clock=clock, company=company)
    run = PlanningRun(
        forecast_run_id=max((a.inputs["forecast_run"] or 0 for a in advices), default=0) or None,
        as_of_at=started_at,
        started_at=started_at,
        item_count=len(advices),
    )
    session.add(run)
    session.flush()
    policies = policy_ids(session)
    update_policies(session, advices, policies, clock)
    rows = [
        recommendation_row(advice, policies[(advice.case.item_id, advice.case.location_id)], run.id)
        for advice in advices
    ]
    for first in range(0, len(rows), _CHUNK):
        session.execute(insert(Recommendation), rows[first : first + _CHUNK])
    run.finished_at = clock.now()
    session.flush()
    return run


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


def policy_ids(session: Session, item_ids: Sequence[int] | None = None) -> dict[Pair, int]:
    """Return the ids of policies by item and location."""
    return {pair: policy.id for pair, policy in policies_by_pair(session, item_ids, None).items()}


def update_policies(
    session: Session, advices: Sequence[Advice], policies: dict[Pair, int], clock: Clock
) -> None:
    """Write the computed numbers into the policies, in bulk; what people set stays."""
    rows = []
    for advice in advices:
        numbers, outlook = advice.inputs, advice.case.outlook
        is_known = advice.case.can_plan and advice.offer is not None
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


def as_recommendation(advice: Advice) -> Recommendation:
    """Return advice as an unsaved recommendation."""
    return Recommendation(**recommendation_row(advice, None, None))


def recommendation_row(advice: Advice, policy_id: int | None, run_id: int | None) -> dict[str, Any]:
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
        "value_at_risk_minor": advice.value_at_risk_minor or 0,
        "waterfall": advice.waterfall,
        "inputs": advice.inputs,
        "flags": advice.flags,
    }


def known_policy(
    session: Session,
    item: Item,
    location: Location,
    *,
    clock: Clock,
    company: Company,
    **overrides: Any,
) -> Advice:
    """Return the policy numbers of an item, with some settings replaced for a what-if.

    Raises:
        InvalidInput: The service level is not inside (0, 1).
        NotEnoughData: There is no forecast, too little history for one, or no supplier.
    """
    level = overrides.get("service_rate")
    if level is not None and not 0 < level < 1:
        raise InvalidInput(
            f"a service level must lie in (0, 1), got {level!r}",
            next_step="Give a fraction such as 0.95.",
        )
    given = {name: value for name, value in overrides.items() if value is not None}
    advice = advise_pair(
        session, item.id, location.id, clock=clock, company=company, overrides=given
    )
    _refuse_unplanned(advice, item, location)
    return advice


def _refuse_unplanned(advice: Advice, item: Item, location: Location) -> None:
    if advice.case.outlook is None:
        raise NotEnoughData(
            f"there is no forecast for {item.sku!r} at {location.code!r} yet",
            next_step="Load its sales and run the planning.",
        )
    if advice.case.is_new:
        days = advice.case.outlook.observed_days
        raise NotEnoughData(
            f"{item.sku!r} has {days} days of sales at {location.code!r}, too few to plan from",
            next_step="Wait for more sales, give a launch estimate, or name a similar item.",
            details={"observed_days": days},
        )
    if not advice.case.is_buyable:
        raise NotEnoughData(
            f"{item.sku!r} is being phased out and not bought any more",
            next_step="Make it active again to plan it.",
        )
    if advice.offer is None:
        raise NotEnoughData(
            f"nobody sells {item.sku!r}, so its lead time is unknown",
            next_step="Load a supplier file with its terms.",
        )
