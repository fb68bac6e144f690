"""Cleaned demand of one item, and whose history its forecast can rest on."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from sqlalchemy import func
from sqlmodel import Session, col, select

from db.models.catalog import Item, Location
from db.models.planning import Forecast, ForecastRun
from db.types import ForecastBasis
from tools.clock import Clock
from tools.company import Company
from tools.demand.service import demand_frame
from tools.errors import InvalidInput, NotEnoughData
from tools.planning_inputs.core.basis import Profile, analog_profile, category_profile
from tools.planning_inputs.core.cleaning import cleaned_panel
from tools.planning_inputs.core.history import History, history_of
from tools.planning_inputs.service.reading import ancestors, read_inputs, today_in


@dataclass(frozen=True)
class ItemHistory:
    """An item's history and what a planner should know about it."""

    history: History
    until: date
    notes: tuple[str, ...]


def demand_history(
    session: Session, item: Item, location: Location, *, clock: Clock, company: Company
) -> ItemHistory:
    """Return the demand of an item as the forecast sees it, with everything that was done to it.

    Args:
        session: Open session.
        item: Item.
        location: Location.
        clock: Gives today; only days before today count.
        company: Its time zone says which day it is.

    Raises:
        NotEnoughData: Nothing was ever sold of it here.
    """
    yesterday = today_in(clock, company) - timedelta(days=1)
    wanted = [item.id, *ancestors(session, item.id)]
    frame = demand_frame(session, item_ids=wanted, location_id=location.id)
    inputs = read_inputs(session, item_ids=wanted)
    until = min(yesterday, _known_until(session, frame, yesterday))
    clean = cleaned_panel(frame, inputs, until=until)
    at = np.nonzero(clean.series.item_ids == item.id)[0]
    if not len(at) or not np.isfinite(clean.panel.units[at[0]]).any():
        raise NotEnoughData(
            f"{item.sku!r} has no sale at {location.code!r} up to {until.isoformat()}",
            next_step="Give a launch estimate, or name a similar item to compare with.",
            details={"observed_days": 0},
        )
    own = frame[frame["item_id"] == item.id]
    mine = [c for c in inputs.corrections if c.item_id == item.id]
    mine = [c for c in mine if c.location_id == location.id]
    history = history_of(clean, int(at[0]), own, mine)
    return ItemHistory(history, clean.panel.until, (*clean.warnings, *clean.notes[int(at[0])]))


def _known_until(session: Session, frame: pd.DataFrame, yesterday: date) -> date:
    """The last day of which sales are known: of the last forecast, or of the item's own rows."""
    asked = select(func.max(ForecastRun.as_of_on)).where(col(ForecastRun.finished_at).is_not(None))
    run_until = session.execute(asked).scalar() or date.min
    own = frame["on"][frame["on"] <= pd.Timestamp(yesterday)]
    return max(run_until, own.max().date() if len(own) else yesterday)


@dataclass(frozen=True)
class Basis:
    """A forecast that rests on others, and what it rests on."""

    basis: ForecastBasis
    profile: Profile
    because: str


def basis_for(
    session: Session,
    item: Item,
    location: Location,
    *,
    horizon_days: int = 28,
    analog: Item | None = None,
    factor: float = 1.0,
) -> Basis:
    """Say what an item without history of its own may sell, from a similar item or its category.

    Args:
        session: Open session.
        item: The item.
        location: Where.
        horizon_days: Days, >= 1.
        analog: The item that it is like; its category by default.
        factor: Times so much, > 0.

    Raises:
        InvalidInput: The factor is not above 0.
        NotEnoughData: The similar item has no forecast, or the category too few items with demand.
    """
    if not factor > 0:
        raise InvalidInput(f"a factor lies above 0, got {factor!r}")
    if analog is not None:
        means = _means(session, location.id, [analog.id], horizon_days)
        if not len(means):
            raise NotEnoughData(
                f"{analog.sku!r} has no forecast at {location.code!r} to take a share of",
                next_step="Name another item, or run the plan first.",
            )
        profile = analog_profile(means[0], factor=factor)
        return Basis(ForecastBasis.ANALOG, profile, f"{factor:.0%} of {analog.sku}")
    if not item.category:
        raise NotEnoughData(
            f"{item.sku!r} has no category whose items could stand for it",
            next_step="Name a similar item, or give a launch estimate in units a day.",
        )
    alike = select(Item.id).where(Item.category == item.category, Item.id != item.id)
    means = _means(session, location.id, list(session.exec(alike)), horizon_days)
    profile = category_profile(means, factor=factor)
    return Basis(
        ForecastBasis.CATEGORY, profile, f"the median of {profile.n} items of {item.category!r}"
    )


def _means(
    session: Session, location_id: int, item_ids: list[int], horizon_days: int
) -> np.ndarray:
    """Means of the newest forecast of each item, shape (items with a forecast, horizon_days)."""
    newest = (
        select(func.max(Forecast.id))
        .join(ForecastRun, col(ForecastRun.id) == col(Forecast.run_id))
        .where(
            col(ForecastRun.finished_at).is_not(None), col(ForecastRun.rolled_back_at).is_(None),
            Forecast.location_id == location_id, col(Forecast.item_id).in_(item_ids),
        )
        .group_by(col(Forecast.item_id))
    )  # fmt: skip
    asked = select(Forecast.mean).where(col(Forecast.id).in_(newest))
    rows = [mean for mean in session.exec(asked) if mean]
    if not rows:
        return np.zeros((0, horizon_days))
    days = min(horizon_days, *(len(mean) for mean in rows))
    whole = np.array([mean[:days] for mean in rows], dtype=float)
    return np.pad(whole, ((0, 0), (0, horizon_days - days)), mode="edge")
