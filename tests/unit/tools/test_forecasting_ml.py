"""LightGBM over all series: what it learns, what it may not see, and that its reasons add up."""

import sys
from datetime import date, timedelta

import numpy as np
import pytest

from tools.errors import InvalidInput, NotEnoughData
from tools.forecasting.core import features, ml
from tools.forecasting.core.features import FloatArray, Known, feature_table
from tools.pictures.core.bars import sum_of, sum_svg

UNTIL = date(2026, 3, 1)  # a Sunday
WEEKS, HORIZON = 100, 4


def _priced() -> tuple[FloatArray, FloatArray]:
    """20 series that sell twice as much at a fifth off; the price to come is known.

    Every other week to come has the low price.
    """
    random = np.random.default_rng(7)
    is_cheap = random.random((20, WEEKS + HORIZON)) < 0.3
    is_cheap[:, WEEKS:] = [True, False, True, False]
    level = np.linspace(50, 500, 20)[:, None]
    units = level * np.where(is_cheap, 2.0, 1.0) * random.normal(1, 0.03, is_cheap.shape)
    return units, np.where(is_cheap, 8.0, 10.0)


@pytest.fixture(scope="module")
def learned() -> ml.Learned:
    units, price = _priced()
    return ml.learn(
        units[:, :WEEKS], horizon=HORIZON, until=UNTIL, period_days=7,
        known=Known(price=price, categories=["a", "b"] * 10), levels=(0.95, 0.05),
    )  # fmt: skip


class TestForecast:
    def test_follows_a_price_that_is_known_in_advance(self, learned: ml.Learned) -> None:
        level = np.linspace(50, 500, 20)

        cheap = learned.median[:, [0, 2]].mean(axis=1) / level
        usual = learned.median[:, [1, 3]].mean(axis=1) / level
        assert cheap == pytest.approx(np.full(20, 2.0), rel=0.1)
        assert usual == pytest.approx(np.full(20, 1.0), rel=0.1)

    def test_quantiles_are_ordered_around_the_median(self, learned: ml.Learned) -> None:
        assert learned.levels == (0.05, 0.95)
        assert (learned.quantiles[..., 0] <= learned.median).all()
        assert (learned.quantiles[..., 1] >= learned.median).all()

    def test_quantiles_contain_what_comes(self, learned: ml.Learned) -> None:
        sold = _priced()[0][:, WEEKS:]
        low, high = learned.quantiles[..., 0], learned.quantiles[..., 1]

        assert ((sold >= low) & (sold <= high)).mean() > 0.6

    def test_is_the_same_every_time(self, learned: ml.Learned) -> None:
        units, price = _priced()
        again = ml.ml_forecasts(
            units[:, :WEEKS], horizon=HORIZON, until=UNTIL, period_days=7,
            known=Known(price=price, categories=["a", "b"] * 10),
        )  # fmt: skip

        assert again.tolist() == learned.median.tolist()

    def test_takes_short_series_and_series_that_never_sold(self) -> None:
        units = np.full((6, 60), 10.0)
        units[4, :-3] = np.nan
        units[5] = 0.0

        made = ml.ml_forecasts(units, horizon=7, until=UNTIL)

        assert made.shape == (6, 7)
        assert made[:5] == pytest.approx(np.full((5, 7), 10.0))
        assert not made[5].any()

    def test_never_leaves_the_range_of_the_history(self) -> None:
        random = np.random.default_rng(3)
        units = random.poisson(1.0, (10, 60)).astype(float)

        made = ml.ml_forecasts(units, horizon=14, until=UNTIL)

        assert (made >= 0).all()
        assert (made <= units.max(axis=1, keepdims=True)).all()


def test_follows_a_promotion_that_is_planned() -> None:
    """Sales triple in promotion weeks; one is planned for the second week to come."""
    random = np.random.default_rng(5)
    promotion = (random.random((20, WEEKS + HORIZON)) < 0.2).astype(float)
    promotion[:, WEEKS:] = [0, 1, 0, 0]
    units = 40.0 * np.where(promotion > 0, 3.0, 1.0) * random.normal(1, 0.03, promotion.shape)

    made = ml.ml_forecasts(
        units[:, :WEEKS], horizon=HORIZON, until=UNTIL, period_days=7,
        known=Known(promotion=promotion),
    )  # fmt: skip

    assert made[:, 1] == pytest.approx(np.full(20, 120.0), rel=0.1)
    assert made[:, [0, 2, 3]] == pytest.approx(np.full((20, 3), 40.0), rel=0.1)


class TestReasons:
    def test_contributions_add_up_to_the_forecast(self, learned: ml.Learned) -> None:
        """SHAP's local accuracy: base and contributions sum to the prediction."""
        total = learned.contributions.sum(axis=2)

        assert total == pytest.approx(learned.median, rel=1e-9)
        limits = learned.contributions[..., ml.GROUPS.index("limits")]
        assert np.abs(limits).max() < 1e-6  # nothing was cut off, so trees explain it all

    def test_the_price_moves_what_it_should(self, learned: ml.Learned) -> None:
        by_price = learned.contributions[..., ml.GROUPS.index("price")]

        assert (by_price[:, [0, 2]] > 0).all()
        assert (by_price[:, [0, 2]] > by_price[:, [1, 3]]).all()

    def test_terms_and_sentence_of_a_series_add_up(self, learned: ml.Learned) -> None:
        terms = ml.contribution_terms(learned, 3)

        assert sum(term["value"] for term in terms) == pytest.approx(learned.median[3].mean())
        sentence = ml.contribution_sentence(learned, 3)
        head, _, tail = sentence.removesuffix(".").partition(" a period: ")
        figures = [float(part.split()[-1].replace(",", "")) for part in tail.split(", ")]
        assert sum(figures) == pytest.approx(float(head.replace(",", "")))

    def test_can_be_drawn(self, learned: ml.Learned) -> None:
        total = float(learned.median[3].mean())

        drawn = sum_svg(
            sum_of(
                ml.contribution_terms(learned, 3), title="series 3", uom="units a week",
                total_label="median", total=total,
            )
        )  # fmt: skip

        assert ">price</text>" in drawn
        assert ">recent demand</text>" in drawn

    def test_refuses_a_series_that_is_not_there(self, learned: ml.Learned) -> None:
        with pytest.raises(InvalidInput, match="no series 20"):
            ml.contribution_terms(learned, 20)


class TestBadInput:
    def test_says_how_to_install_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "lightgbm", None)

        with pytest.raises(InvalidInput, match="not installed") as refused:
            ml.ml_forecasts(np.ones((5, 60)), horizon=7)
        assert "pip install 'quartermaster[ml]'" in refused.value.next_step

    def test_too_little_history(self) -> None:
        with pytest.raises(NotEnoughData, match="hold 99 periods"):
            ml.ml_forecasts(np.ones((1, 99)), horizon=7)

    @pytest.mark.parametrize(
        ("known", "told"),
        [
            (Known(price=np.ones((5, 60))), r"price has shape \(5, 60\)"),
            (Known(promotion=np.full((5, 67), -1.0)), "promotion holds negative"),
            (Known(categories=["a"]), "1 categories for 5 series"),
        ],
    )
    def test_what_is_known_must_fit(self, known: Known, told: str) -> None:
        with pytest.raises(InvalidInput, match=told):
            ml.ml_forecasts(np.ones((5, 60)), horizon=7, known=known)

    @pytest.mark.parametrize("wrong", [-1.0, float("inf")])
    def test_absurd_demand(self, wrong: float) -> None:
        units = np.ones((5, 60))
        units[2, 7] = wrong
        with pytest.raises(InvalidInput, match="negative or infinite"):
            ml.ml_forecasts(units, horizon=7)

    def test_levels_outside_their_range(self) -> None:
        with pytest.raises(InvalidInput, match="between 0 and 1"):
            ml.learn(np.ones((5, 60)), horizon=7, levels=(0.5, 1.0))


class TestFeatureTable:
    def test_a_price_that_is_not_known_goes_on(self) -> None:
        price = np.full((5, 67), 10.0)
        price[:, 50:60], price[:, 60:] = 8.0, np.nan

        table = feature_table(
            np.ones((5, 60)), until=UNTIL, period_days=1, horizon=7, known=Known(price=price)
        )

        assert table.future["price"].tolist() == [0.8] * 35  # the usual price is 10
        assert table.past["price_step"].to_numpy()[50] == pytest.approx(0.8)

    def test_nothing_of_the_future_is_in_the_past(self) -> None:
        """The usual price is that of the past: another future price changes no past row."""
        price = np.full((5, 67), 10.0)
        other = price.copy()
        other[:, 60:] = 1.0
        past = [
            feature_table(
                np.ones((5, 60)), until=UNTIL, period_days=1, horizon=7, known=Known(price=p)
            ).past
            for p in (price, other)
        ]

        assert past[0].equals(past[1])

    def test_the_calendar_is_that_of_the_days(self) -> None:
        holiday = UNTIL + timedelta(days=3)

        table = feature_table(
            np.ones((5, 60)), until=UNTIL, period_days=1, horizon=7, known=Known(holidays=[holiday])
        )

        first = table.future[table.future["unique_id"] == 0]
        assert first["weekday"].tolist() == [0, 1, 2, 3, 4, 5, 6]
        assert first["holidays"].tolist() == [0, 0, 1, 0, 0, 0, 0]
        assert first["week"].tolist() == [10] * 7  # ISO week of 2 March 2026

    def test_holidays_of_a_week_are_counted(self) -> None:
        free = [UNTIL + timedelta(days=1), UNTIL + timedelta(days=7), UNTIL + timedelta(days=8)]

        table = feature_table(
            np.ones((5, 60)), until=UNTIL, period_days=7, horizon=2, known=Known(holidays=free)
        )

        assert table.future["holidays"].tolist()[:2] == [2, 1]

    def test_scale_and_lags_fit_the_history(self) -> None:
        units = np.outer([1.0, 100.0], np.ones(60))

        table = feature_table(units, until=UNTIL, period_days=1, horizon=7)

        assert table.past["y"].unique().tolist() == [1.0]
        assert table.lags == (1, 2, 7, 14, 28)
        assert features.LAGS[7][-1] == 52
