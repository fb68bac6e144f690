"""Signs of drift, with the golden numbers of the domain page (1.7)."""

import numpy as np
import pytest

from tools.errors import InvalidInput
from tools.forecasting.core.drift import (
    Kept,
    drifted,
    is_due,
    proposal,
    retrain_days,
    sentence,
    signals,
)

SOLD = np.array([[100.0, 120, 90, 110, 95, 130]])
SAID = np.array([[110.0, 115, 105, 118, 108, 128]])


def _kept(sold: np.ndarray, said: np.ndarray, *, width: float, naive: float = 0.0) -> Kept:
    return Kept(sold, said, said - width, said + width, np.full(sold.shape, naive))


class TestSignals:
    def test_tracking_signal_alarms_although_wmape_is_good(self) -> None:
        found = signals(_kept(SOLD, SAID, width=20))

        assert found.tracking_signal[0] == pytest.approx(-4.415, abs=5e-4)  # sum -39 / MAD 8.833
        assert drifted(found).tolist() == [[True, False, False]]

    def test_five_weeks_prove_nothing(self) -> None:
        found = signals(_kept(SOLD[:, :5], SAID[:, :5], width=1))

        assert np.isnan(found.tracking_signal[0])
        assert not drifted(found).any()

    def test_the_tracking_signal_looks_at_the_last_six_weeks(self) -> None:
        sold = np.concatenate([np.array([[500.0, 0.0]]), SOLD], axis=1)
        said = np.concatenate([np.array([[0.0, 700.0]]), SAID], axis=1)

        found = signals(_kept(sold, said, width=20))

        assert found.tracking_signal[0] == pytest.approx(-4.415, abs=5e-4)
        assert found.weeks[0] == 8

    @pytest.mark.parametrize(
        ("inside", "weeks", "alarms"),
        [
            (9, 12, False),  # 75 %, but P(X <= 9 | 12, 0.9) = 0.111
            (7, 12, True),  # 58 %, P = 0.0043
            (20, 20, False),  # 100 %, but 0.9^20 = 0.122
            (38, 38, True),  # 0.9^38 = 0.0182
            (36, 40, False),
        ],
    )
    def test_coverage_alarms_outside_80_to_97_percent_unless_by_chance(
        self, inside: int, weeks: int, alarms: bool
    ) -> None:
        errors = np.where(np.arange(weeks) < inside, 1.0, 9.0) * (-1.0) ** np.arange(weeks)

        found = signals(_kept(100 + errors[None], np.full((1, weeks), 100.0), width=5, naive=0.0))

        assert found.coverage[0] == pytest.approx(inside / weeks)
        assert bool(drifted(found)[0, 1]) is alarms

    def test_an_error_above_that_of_last_week_alarms_after_a_quarter(self) -> None:
        sold = np.tile([100.0, 104.0], 6)[None]  # errors 10 and 10 against steps of 4
        said = np.tile([110.0, 94.0], 6)[None]
        naive = np.tile([104.0, 100.0], 6)[None]
        kept = Kept(sold, said, said - 20, said + 20, naive)

        found = signals(kept)

        assert found.naive_ratio[0] == pytest.approx(2.5)
        assert drifted(found).tolist() == [[False, False, True]]

    def test_weeks_without_a_promise_do_not_count(self) -> None:
        gap = np.full((1, 4), np.nan)
        padded = signals(
            _kept(np.concatenate([gap, SOLD], 1), np.concatenate([gap, SAID], 1), width=20)
        )

        assert padded.weeks[0] == 6
        assert padded.tracking_signal[0] == pytest.approx(-4.415, abs=5e-4)


class TestRetraining:
    def test_weekly_for_fast_and_monthly_for_staples(self) -> None:
        assert [retrain_days(adi) for adi in (1.0, 1.32, 1.33, float("inf"))] == [7, 7, 28, 28]

    def test_refuses_an_interval_below_one_period(self) -> None:
        with pytest.raises(InvalidInput, match=r"at least 1 period, got 0\.5"):
            retrain_days(0.5)

    @pytest.mark.parametrize(
        ("days", "adi", "signs", "due"),
        [
            (None, 1.0, [], True),
            (6, 1.0, [], False),
            (7, 1.0, [], True),
            (27, 4.0, [], False),
            (28, 4.0, [], True),
            (1, 4.0, ["naive"], True),
        ],
    )
    def test_due_by_velocity_or_by_drift(
        self, days: int | None, adi: float, signs: list[str], due: bool
    ) -> None:
        assert is_due(days_since_fit=days, adi=adi, signs=signs) is due


def test_says_all_signs_and_what_to_do() -> None:
    said = sentence(
        {
            "signs": ["bias", "coverage", "naive"], "weeks": 13, "tracking_signal": 5.2,
            "coverage": 0.54, "naive_ratio": 1.31,
        }
    )  # fmt: skip

    assert said == (
        "sold more than forecast week after week (tracking signal 5.2 over the last 6 weeks, "
        "limit 4); 54% of 13 weeks fell inside the 90 % interval (80% to 97% is right); the error "
        "is 1.31 times that of repeating last week's sales"
    )
    assert "an own figure" in proposal(["bias", "naive"])
    assert "forecast try" in proposal(["naive"])
    assert "safety stock" in proposal(["coverage"])
