"""Models in use, by segment: tried as challengers, promoted and taken back by people."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from importlib.metadata import version

import numpy as np
from sqlalchemy import select
from sqlmodel import Session, col

from db.models.planning import ForecastModel
from db.session import Database
from db.types import Actor, DemandClass, ModelState, Permission
from tools.audit import service as audit
from tools.cases.service import today_of
from tools.clock import Clock
from tools.company import Company
from tools.demand.core import Panel
from tools.errors import Conflict, InvalidInput, NotEnoughData, NotFound
from tools.forecasting.core import methods, selection
from tools.forecasting.core.batch import Champions, classified, season_of
from tools.forecasting.service import reading
from tools.forecasting.service.records import reason_of
from tools.identity.service import acting
from tools.planning_inputs.core.values import Inputs
from tools.planning_inputs.service.reading import read_inputs

SEGMENTS = ("*", *(name.value for name in DemandClass if name not in ("new", "no_demand")))
HORIZON_DAYS = 28
WINDOWS = 3
MOST_SERIES = 300  # of a segment: enough for a difference of a few percent
_LONGEST = 64  # of a name, as a forecast stores it
_LIBRARIES = ("statsforecast", "numpy", "pandas", "scipy")


def champions_in_use(session: Session) -> dict[str, tuple[str, ...]]:
    """Return the models that were promoted, by segment; the default counts elsewhere."""
    query = select(ForecastModel).where(col(ForecastModel.state) == ModelState.CHAMPION)
    rows = session.scalars(query.order_by(col(ForecastModel.id)))
    return {row.segment: methods.models_of(row.models) for row in rows}


def registered(session: Session, *, limit: int = 50) -> list[ForecastModel]:
    """Return what was tried, newest first."""
    query = select(ForecastModel).order_by(col(ForecastModel.id).desc()).limit(limit)
    return list(session.scalars(query))


@dataclass(frozen=True)
class Trial:
    """A challenger and how it did against what is in use."""

    model_id: int
    segment: str
    models: str
    series: int
    challenger: selection.Score
    champion: selection.Score
    is_better: bool  # in every window by the margin


def try_models(
    database: Database,
    *,
    segment: str,
    models: tuple[str, ...],
    actor: Actor,
    clock: Clock,
    company: Company | None = None,
) -> Trial:
    """Score a challenger against the models in use, by rolling origin, and register it.

    The last three windows of four weeks are forecast by both from what was known before each.
    Nothing that is planned changes; a person promotes, or not.

    Args:
        database: Open database.
        segment: Demand class, or "*" for all.
        models: Names from ``methods.MODELS``; their median counts.
        actor: Who tries.
        clock: Gives today.
        company: Its time zone says which day it is.

    Raises:
        Forbidden: The actor may not.
        InvalidInput: Segment or model is unknown, or the name is too long to store.
        NotEnoughData: Too few series or days to compare on.
    """
    _check(segment, models)
    yesterday = today_of(clock, company or Company()) - timedelta(days=1)
    with database.read() as session:
        acting(session, actor, Permission.DRAFT)
        inputs = read_inputs(session)
        catalogue = reading.survey(
            session, end=yesterday, part_series=MOST_SERIES, heirs=inputs.heirs
        )
        champions = champions_in_use(session)
    seen = reading.Seen()
    panel = _sample(database, catalogue, inputs, segment, end=yesterday, seen=seen)
    if panel is None:
        raise NotEnoughData(
            f"no series of the segment {segment!r} has enough history to compare models on",
            next_step="Load more sales, or try another segment.",
        )
    scores = _scores(panel, segment, models, champions)
    mine, theirs = scores["challenger"], scores["champion"]
    is_better = selection.preferred(scores, default="champion") == "challenger"
    row = ForecastModel(
        segment=segment, models=methods.model_name(models), trained_at=clock.now(),
        data_hash=seen.hexdigest(), versions={name: version(name) for name in _LIBRARIES},
        metrics={
            "challenger": asdict(mine), "champion": asdict(theirs), "series": len(panel.units),
            "horizon_days": HORIZON_DAYS, "windows": WINDOWS, "is_better": is_better,
        },
    )  # fmt: skip
    model_id = _registered(database, row, actor=actor, clock=clock)
    return Trial(model_id, segment, row.models, len(panel.units), mine, theirs, is_better=is_better)


def _registered(database: Database, row: ForecastModel, *, actor: Actor, clock: Clock) -> int:
    with database.write() as session:
        audit.lock(session)
        by = acting(session, actor, Permission.DRAFT)
        session.add(row)
        session.flush()
        audit.append(
            session, at=clock.now(), actor=by, action="forecast_model.tried",
            object_id=f"forecast-model-{row.segment}",
            after={"id": row.id, "models": row.models, "is_better": row.metrics["is_better"]},
        )  # fmt: skip
        return row.id


def _check(segment: str, models: tuple[str, ...]) -> None:
    if segment not in SEGMENTS:
        raise InvalidInput(f"there is no segment {segment!r}", details={"segments": list(SEGMENTS)})
    unknown = [name for name in models if name not in methods.MODELS]
    if unknown or not models:
        raise InvalidInput(
            f"there is no forecast model {(unknown or [''])[0]!r}",
            next_step=f"Take some of {', '.join(sorted(methods.MODELS))}.",
        )
    if len(methods.model_name(models)) > _LONGEST:
        raise InvalidInput(
            f"the name of {len(models)} models is longer than {_LONGEST} characters",
            next_step="Combine fewer models.",
        )


def _sample(
    database: Database,
    catalogue: reading.Catalogue | None,
    inputs: Inputs,
    segment: str,
    *,
    end: date,
    seen: reading.Seen,
) -> Panel | None:
    """Take up to 300 series of a segment, from partitions spread over the catalogue."""
    if catalogue is None:
        return None
    spread = catalogue.parts[:: max(1, len(catalogue.parts) // 8)]
    panels = []
    for part in reading.cleaned(
        database, replace(catalogue, parts=spread), inputs, end=end, seen=seen,
        part_series=MOST_SERIES, horizon_days=1,
    ):  # fmt: skip
        names = [name.value for name in classified(part.panel)[2]]
        rows = np.array([segment in ("*", name) and name in SEGMENTS for name in names])
        if rows.any():
            panels.append(reading.rows_of(part.panel, np.flatnonzero(rows)))
    if not panels:
        return None
    whole = reading.stacked(panels)
    step = max(1, -(-len(whole.units) // MOST_SERIES))
    return reading.rows_of(whole, np.arange(0, len(whole.units), step))


def _scores(
    panel: Panel, segment: str, models: tuple[str, ...], champions: Champions
) -> Mapping[str, selection.Score]:
    season = season_of(panel)
    adi = methods.RARE_ADI if segment in ("intermittent", "lumpy") else 1.0
    name = DemandClass.SMOOTH if segment == "*" else DemandClass(segment)
    usual = methods.combination(name, adi=adi, season=season, periods=panel.units.shape[1])
    in_use = champions.get(segment) or champions.get("*") or usual
    return selection.cross_validate(
        panel.units,
        candidates={"champion": tuple(in_use), "challenger": models},
        horizon=max(1, HORIZON_DAYS // panel.period_days),
        windows=WINDOWS,
        season=season,
    )


def promote(
    session: Session, model_id: int, *, reason: str, actor: Actor, clock: Clock
) -> ForecastModel:
    """Put a challenger, or a retired model, in use for its segment from the next run on.

    Args:
        session: A write transaction.
        model_id: What was tried.
        reason: Why, in the actor's words.
        actor: Who promotes.
        clock: Time.

    Raises:
        Forbidden: The actor may not.
        NotFound: There is no such model.
        Conflict: It is in use already.
        InvalidInput: No reason is given.
    """
    audit.lock(session)
    by, why = acting(session, actor, Permission.DECIDE), reason_of(reason)
    model = session.get(ForecastModel, model_id, populate_existing=True)
    if model is None:
        raise NotFound(
            f"there is no forecast model {model_id!r}", next_step="quartermaster forecast models"
        )
    if model.state is ModelState.CHAMPION:
        raise Conflict(f"forecast model {model_id!r} is in use already")
    before = _champion(session, model.segment)
    if before is not None:
        _retire(session, before, clock)
    model.state, model.retired_at = ModelState.CHAMPION, None
    model.promoted_by_id, model.promoted_at, model.reason = by.user_id, clock.now(), why
    session.add(model)
    _note(session, "forecast_model.promoted", model, before, by=by, why=why, clock=clock)
    return model


def demote(
    session: Session, segment: str, *, reason: str, actor: Actor, clock: Clock
) -> ForecastModel | None:
    """Take the model in use for a segment back: the one before it counts again, or the default.

    Args:
        session: A write transaction.
        segment: Demand class, or "*".
        reason: Why, in the actor's words.
        actor: Who takes it back.
        clock: Time.

    Returns:
        The model in use from now on; None is the default.

    Raises:
        Forbidden: The actor may not.
        NotFound: No model was promoted for the segment.
        InvalidInput: No reason is given.
    """
    audit.lock(session)
    by, why = acting(session, actor, Permission.DECIDE), reason_of(reason)
    last = _champion(session, segment)
    if last is None:
        raise NotFound(
            f"no model was promoted for the segment {segment!r}: the default is in use",
            next_step="quartermaster forecast models",
        )
    earlier = select(ForecastModel).where(
        col(ForecastModel.segment) == segment, col(ForecastModel.state) == ModelState.RETIRED,
        col(ForecastModel.promoted_at) < last.promoted_at,
    )  # fmt: skip
    before = session.scalars(earlier.order_by(col(ForecastModel.promoted_at).desc())).first()
    _retire(session, last, clock)
    if before is not None:
        before.state, before.retired_at = ModelState.CHAMPION, None
        session.add(before)
    _note(session, "forecast_model.rolled_back", before, last, by=by, why=why, clock=clock)
    return before


def _champion(session: Session, segment: str) -> ForecastModel | None:
    query = select(ForecastModel).where(
        col(ForecastModel.segment) == segment, col(ForecastModel.state) == ModelState.CHAMPION
    )
    return session.scalars(query.execution_options(populate_existing=True)).first()


def _retire(session: Session, model: ForecastModel, clock: Clock) -> None:
    model.state, model.retired_at = ModelState.RETIRED, clock.now()
    session.add(model)


def _note(
    session: Session, action: str, now: ForecastModel | None, before: ForecastModel | None, *,
    by: Actor, why: str, clock: Clock,
) -> None:  # fmt: skip
    session.flush()
    segment = next(model.segment for model in (now, before) if model is not None)
    audit.append(
        session, at=clock.now(), actor=by, action=action, object_id=f"forecast-model-{segment}",
        before={"models": "default" if before is None else before.models},
        after={"models": "default" if now is None else now.models},
        reason=why,
    )  # fmt: skip
