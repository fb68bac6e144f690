"""Forecasts, policies and recommendations."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from db.columns import at_least, choice, currency_code, document, key, moment, one_of, ref, whole
from db.types import (
    Action,
    DemandClass,
    ForecastBasis,
    ModelState,
    ReplenishmentRule,
    SafetyStockMethod,
    ServiceMeasure,
)


class ForecastRun(SQLModel, table=True):
    """One batch of forecasts: what it saw and with which versions."""

    __tablename__ = "forecast_run"
    id: int = key()
    started_at: datetime = moment()
    finished_at: datetime | None = moment(nullable=True)
    as_of_on: date
    grain: str = Field(default="D", max_length=1)  # D daily, W weekly
    horizon_days: int
    series_count: int = 0
    data_hash: str = Field(max_length=64)
    versions: dict[str, Any] = document()
    settings: dict[str, Any] = document()  # engine, models and partitions, as the run was started
    partitions: int = 1
    partitions_done: int = 1  # a killed run goes on behind these
    rolled_back_at: datetime | None = moment(nullable=True)  # nobody reads it from then on


class ForecastModel(SQLModel, table=True):
    """A set of forecast models for a segment: what was tried, how good it was, what is in use."""

    __tablename__ = "forecast_model"
    __table_args__ = (one_of("state", ModelState),)
    id: int = key()
    segment: str = Field(max_length=64)  # such as smooth, lumpy; "*" is every segment
    models: str = Field(max_length=200)  # as ``methods.model_name`` names them
    state: ModelState = choice(ModelState, ModelState.CHALLENGER)
    trained_at: datetime = moment()
    data_hash: str = Field(max_length=64)
    versions: dict[str, Any] = document()
    metrics: dict[str, Any] = document()
    reason: str = Field(default="", max_length=500)
    promoted_by_id: int | None = ref("app_user.id", nullable=True)
    promoted_at: datetime | None = moment(nullable=True)
    retired_at: datetime | None = moment(nullable=True)


class Forecast(SQLModel, table=True):
    """Forecast of one item at one location, and the calibrated spread of cumulative demand.

    ``mean`` is units per day for ``horizon_days`` days from ``as_of_on`` + 1. ``total_sd`` is the
    standard deviation of the error of the *total*, by horizon: ``{"days": [...], "sd": [...]}``.
    ``total_quantiles`` gives the total's quantiles: ``{"days": [...], "0.95": [...], ...}``.
    """

    __tablename__ = "forecast"
    __table_args__ = (
        UniqueConstraint("run_id", "item_id", "location_id"),
        one_of("demand_class", DemandClass),
    )
    id: int = key()
    run_id: int = ref("forecast_run.id")
    item_id: int = ref("item.id")
    location_id: int = ref("location.id")
    model: str = Field(max_length=64)
    demand_class: DemandClass = choice(DemandClass)
    horizon_days: int
    mean: list[float] = document(list)
    total_sd: dict[str, Any] = document()
    total_quantiles: dict[str, Any] = document()
    adi: float | None = None
    cv2: float | None = None
    observed_days: int = 0
    metrics: dict[str, Any] = document()  # wmape, bias, mase; null where undefined
    warnings: list[str] = document(list)
    basis: ForecastBasis = choice(ForecastBasis, ForecastBasis.OWN)
    components: dict[str, Any] = document()  # level, trend, season, events: units a day


class Policy(SQLModel, table=True):
    """How an item is replenished at a location, and the numbers computed from that.

    The first block is set by people, the second by the planning run.
    """

    __tablename__ = "policy"
    __table_args__ = (
        UniqueConstraint("item_id", "location_id"),
        one_of("measure", ServiceMeasure),
        one_of("method", SafetyStockMethod),
        CheckConstraint("service_rate > 0 AND service_rate < 1", name="service_rate_in_range"),
        at_least("review_period_days"),
        at_least("cover_days"),
        at_least("version", 1),
    )
    id: int = key()
    item_id: int = ref("item.id")
    location_id: int = ref("location.id")
    version: int = 1
    service_rate: float = 0.95
    measure: ServiceMeasure = choice(ServiceMeasure, ServiceMeasure.CYCLE)
    method: SafetyStockMethod = choice(SafetyStockMethod, SafetyStockMethod.COMBINED)
    review_period_days: int = 1
    cover_days: int = 14  # demand that one order should last beyond the reorder point
    rule: ReplenishmentRule = choice(ReplenishmentRule, ReplenishmentRule.MIN_MAX)
    is_service_rate_optimised: bool = False  # from holding and shortage cost, anew at every plan

    forecast_id: int | None = ref("forecast.id", nullable=True)
    computed_at: datetime | None = moment(nullable=True)
    demand_mean: float | None = None  # units a day over the protection window
    demand_sd: float | None = None  # forecast error, units a day
    lead_time_mean_days: float | None = None
    lead_time_sd_days: float | None = None
    lead_time_count: int | None = None
    distribution: str | None = Field(default=None, max_length=20)
    sigma_ltd_units: float | None = None
    safety_stock_units: int | None = whole(nullable=True)
    reorder_point_units: int | None = whole(nullable=True)
    order_up_to_units: int | None = whole(nullable=True)


class PlanningRun(SQLModel, table=True):
    """One pass over all items: as of when, from which forecasts."""

    __tablename__ = "planning_run"
    id: int = key()
    forecast_run_id: int | None = ref("forecast_run.id", nullable=True)
    as_of_at: datetime = moment()
    started_at: datetime = moment()
    finished_at: datetime | None = moment(nullable=True)
    item_count: int = 0


class Recommendation(SQLModel, table=True):
    """What to do about one item, with the terms that add up to the quantity."""

    __tablename__ = "recommendation"
    __table_args__ = (
        UniqueConstraint("run_id", "item_id", "location_id"),
        one_of("action", Action),
        at_least("order_units"),
        at_least("amount_minor"),
        at_least("unit_price_minor"),
        currency_code(),
    )
    id: int = key()
    run_id: int = ref("planning_run.id")
    item_id: int = ref("item.id")
    location_id: int = ref("location.id")
    policy_id: int = ref("policy.id")
    supplier_id: int | None = ref("supplier.id", nullable=True)
    action: Action = choice(Action, index=True)
    order_units: int = whole(0)
    unit_price_minor: int = whole(0)
    amount_minor: int = whole(0)
    currency: str = Field(max_length=3)
    need_by_on: date | None = None
    latest_order_on: date | None = None
    projected_stockout_on: date | None = None
    inventory_position_units: int = whole(0)
    reorder_point_units: int = whole(0)
    days_of_cover: float | None = None
    severity: str = Field(default="info", max_length=16)  # critical, warning, info
    value_at_risk_minor: int = whole(0)
    waterfall: list[dict[str, Any]] = document(list)
    inputs: dict[str, Any] = document()  # the numbers behind the advice
    flags: list[str] = document(list)
