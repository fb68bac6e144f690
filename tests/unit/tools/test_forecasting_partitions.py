"""A catalogue in partitions, and who computes them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from db.types import DemandClass
from tests.fakes_forecasting import panel_of
from tools.demand.core import Panel
from tools.errors import InvalidInput
from tools.forecasting.core import totals
from tools.forecasting.core.batch import (
    Batch,
    chosen,
    forecast_panel,
    horizons_of,
    outline,
    past_errors,
    season_of,
)
from tools.forecasting.core.engines import Engine, run, worthwhile
from tools.forecasting.core.partitions import (
    Task,
    cut,
    forecast_task,
    pools_of,
    widened,
)

HORIZON_DAYS = 28


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Sixty series of all kinds; the first third starts late, so that parts differ in width."""
    random = np.random.default_rng(11)
    units = random.poisson(random.uniform(0.05, 30, 60)[:, None], (60, 200)).astype(float)
    units[:20, :90] = np.nan
    units[5] = np.nan
    units[5, -10:] = 3.0
    return panel_of(units)


def _rows(panel: Panel, rows: slice, *, narrow: bool) -> Panel:
    units, missing = panel.units[rows], panel.is_missing[rows]
    first = int(np.isfinite(units).any(axis=0).argmax()) if narrow else 0
    return replace(
        panel, item_ids=panel.item_ids[rows], location_ids=panel.location_ids[rows],
        units=units[:, first:], is_missing=missing[:, first:],
    )  # fmt: skip


def _tasks(panel: Panel, size: int) -> Iterator[Task]:
    """The stages of a run, as the service goes through them."""
    parts = [
        _rows(panel, slice(k, k + size), narrow=True) for k in range(0, len(panel.units), size)
    ]
    whole = [widened(part, panel.units.shape[1]) for part in parts]
    outlines = [outline(part) for part in whole]
    pools, members = pools_of(outlines)
    season, horizons = season_of(whole[0]), horizons_of(whole[0], HORIZON_DAYS)
    found = [
        past_errors(part, said, season=season, pool=pool, members=members, horizons=horizons)
        for part, said, pool in zip(whole, outlines, pools, strict=True)
    ]
    calibration = totals.pooled([e for e, _ in found], pools=len(members), horizons=horizons)
    for part, said, pool, (_, accuracy) in zip(whole, outlines, pools, found, strict=True):
        yield Task(part, said, HORIZON_DAYS, season, pool, calibration, accuracy)


def _same(whole: Batch, parts: list[Batch]) -> None:
    for name in ("mean", "total_sd", "total_quantiles", "adi", "cv2", "observed_days"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name), err_msg=name)
    for name in ("wmape", "bias", "mase"):
        joined = np.concatenate([getattr(part.accuracy, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole.accuracy, name), err_msg=name)
    for name in ("models", "classes", "warnings"):
        assert [one for part in parts for one in getattr(part, name)] == getattr(whole, name)


class TestPartitions:
    @pytest.mark.parametrize("size", [7, 60])
    def test_change_nothing_not_even_the_last_bit(self, panel: Panel, size: int) -> None:
        whole = forecast_panel(panel, horizon_days=HORIZON_DAYS)

        _same(whole, [forecast_task(task) for task in _tasks(panel, size)])

    def test_a_calibration_of_one_part_alone_would_differ(self, panel: Panel) -> None:
        whole = forecast_panel(panel, horizon_days=HORIZON_DAYS)

        alone = forecast_panel(_rows(panel, slice(40, 60), narrow=False), horizon_days=HORIZON_DAYS)

        assert not np.array_equal(alone.total_quantiles, whole.total_quantiles[40:])

    def test_an_item_with_more_series_than_a_partition_holds_is_one_of_its_own(self) -> None:
        assert cut({1: 2, 2: 9, 3: 1}, series=3) == [[1], [2], [3]]

    def test_refuses_an_empty_partition(self) -> None:
        with pytest.raises(InvalidInput, match="at least 1 series, got 0"):
            cut({1: 1}, series=0)


class TestEngines:
    def test_dask_gives_the_numbers_of_local(self, panel: Panel) -> None:
        local = list(run(Engine("local"), forecast_task, _tasks(panel, 20)))

        dask = list(run(Engine("dask", workers=1), forecast_task, _tasks(panel, 20)))

        _same(forecast_panel(panel, horizon_days=HORIZON_DAYS), dask)
        for mine, theirs in zip(local, dask, strict=True):
            np.testing.assert_array_equal(mine.total_quantiles, theirs.total_quantiles)

    def test_processes_give_the_answers_in_order(self) -> None:
        assert list(run(Engine("processes"), abs, [-3, 2, -1, 0, -9])) == [3, 2, 1, 0, 9]

    def test_processes_start_only_for_work_that_pays_for_them(self) -> None:
        assert worthwhile(Engine("processes"), 10.0) == Engine("local", 1)
        assert worthwhile(Engine("processes"), 600.0) == Engine("processes")
        assert worthwhile(Engine("dask"), 1.0) == Engine("dask")

    def test_refuses_an_unknown_engine(self) -> None:
        with pytest.raises(InvalidInput, match="no forecast engine 'spark'"):
            Engine("spark")  # type: ignore[arg-type]

    def test_says_that_no_scheduler_answers(self) -> None:
        engine = Engine("dask", address="tcp://127.0.0.1:9", patience_s=0.3)

        with pytest.raises(InvalidInput, match="no Dask scheduler answers"):
            list(run(engine, abs, [1]))


class TestChosen:
    def test_a_champion_of_the_class_comes_before_one_of_all_classes(self) -> None:
        champions = {"*": ("ets",), "lumpy": ("tsb",)}

        assert chosen(DemandClass.LUMPY, adi=3.0, champions=champions) == ("tsb",)
        assert chosen(DemandClass.SMOOTH, adi=1.0, champions=champions) == ("ets",)

    def test_a_new_item_has_too_little_history_for_any_champion(self) -> None:
        assert chosen(DemandClass.NEW, adi=1.0, champions={"*": ("ets",)}) == ("mean",)


def test_a_panel_as_wide_as_the_whole_stays_itself() -> None:
    narrow = panel_of(np.ones((1, 5)))

    assert widened(narrow, 5) is narrow
    assert np.isnan(widened(narrow, 7).units[0, :2]).all()
    assert widened(narrow, 7).until == date(2026, 3, 1)
