"""Models in use, by segment: tried as challengers, promoted and taken back by people."""

from sqlalchemy import select
from sqlmodel import Session, col

from db.models.planning import ForecastModel
from db.types import ModelState
from tools.forecasting.core.methods import models_of


def champions_in_use(session: Session) -> dict[str, tuple[str, ...]]:
    """Return the models that were promoted, by segment; the default counts elsewhere."""
    query = select(ForecastModel).where(col(ForecastModel.state) == ModelState.CHAMPION)
    rows = session.scalars(query.order_by(col(ForecastModel.id)))
    return {row.segment: models_of(row.models) for row in rows}
