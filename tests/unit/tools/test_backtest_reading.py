"""A sales history from a file to chosen series: what is read, what is refused, what is assumed."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tools.backtest.core.assumptions import Assumptions
from tools.backtest.core.history import Choice, History, choose
from tools.backtest.core.sales import RawSales
from tools.backtest.service.reading import demo_sales, read_sales
from tools.errors import InvalidInput, NotEnoughData, NotFound

TODAY = date(2026, 3, 2)
START = date(2025, 1, 1)
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(*lines: str, name: str = "sales.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return written


def daily(*, days: int = 160, **skus: int) -> RawSales:
    """The same units of each item every day."""
    rows = [
        {"sku": sku, "written": sku, "name": "", "location": "", "on": START + timedelta(days=day),
         "units": units, "price": 10.0, "unit_cost": 6.0, "is_in_stock": True,
         "lead_time_days": 5.0, "moq": 1.0, "multiple": 1.0, "group": sku}
        for day in range(days)
        for sku, units in skus.items()
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    frame["on"] = pd.to_datetime(frame["on"])
    return RawSales(frame, "a test", len(frame))


def chosen(raw: RawSales, choice: Choice | None = None) -> History:
    return choose(raw, choice or Choice(), Assumptions())


class TestReading:
    def test_adds_up_and_reads_optional_columns(self, write: Write) -> None:
        path = write(
            "Date;Item;Qty;Unit cost;Price;In stock;Supplier;Lead time;MOQ;Order multiple",
            "2025-01-01;A-1;3;6,00;10,00;yes;ACME;9;12;6",
            "2025-01-01;a-1;2;6,00;10,00;yes;ACME;9;12;6",
            "2025-01-02;A-1;0;6,00;10,00;no;ACME;9;12;6",
        )

        raw = read_sales(path, today=TODAY)

        assert raw.rows_read == 3
        assert raw.rows["units"].tolist() == [3, 2, 0]
        assert raw.rows["sku"].nunique() == 1
        assert raw.rows["is_in_stock"].tolist() == [True, True, False]
        assert raw.rows["unit_cost"].tolist() == [6.0, 6.0, 6.0]
        assert raw.rows["group"].tolist() == ["ACME"] * 3
        assert raw.rows[["lead_time_days", "moq", "multiple"]].iloc[0].tolist() == [9.0, 12.0, 6.0]

    def test_sets_bad_rows_aside_and_names_them(self, write: Write) -> None:
        path = write(
            "date,sku,quantity,invoice",
            "2025-01-01,A,3,1",
            "2099-01-01,A,3,2",
            "2025-01-02,A,99999999999,3",
            "2025-01-03,A,-4,C5",
        )

        raw = read_sales(path, today=TODAY)

        assert len(raw.rows) == 1
        assert raw.returned_units == 4
        assert sorted(raw.set_aside) == [
            "the date lies in the future (today is 2026-03-02)",
            "the quantity is larger than 10,000,000",
        ]

    def test_finds_columns_by_mapping(self, write: Write) -> None:
        path = write("when,what,how many", "2025-01-01,A,3")

        raw = read_sales(
            path, today=TODAY, mapping={"date": "when", "sku": "what", "quantity": "how many"}
        )

        assert raw.rows["units"].tolist() == [3]

    def test_reads_excel_and_parquet_alike(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"date": [START], "sku": ["A"], "quantity": [3], "price": [2.5]})
        frame.to_excel(tmp_path / "s.xlsx", index=False)
        frame.to_parquet(tmp_path / "s.parquet", index=False)

        excel, parquet = (
            read_sales(tmp_path / name, today=TODAY).rows for name in ("s.xlsx", "s.parquet")
        )

        pd.testing.assert_frame_equal(excel, parquet)

    @pytest.mark.parametrize(
        ("lines", "says"),
        [
            (["date,sku,quantity"], "a header and no rows"),
            (["date,sku", "2025-01-01,A"], "needs a column for quantity"),
            (["date,sku,quantity", "soon,A,3"], "none of the 1 rows"),
        ],
    )
    def test_refuses_what_holds_nothing(self, write: Write, lines: list[str], says: str) -> None:
        with pytest.raises(InvalidInput, match=says):
            read_sales(write(*lines), today=TODAY)

    def test_refuses_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="cannot be opened"):
            read_sales(tmp_path / "none.csv", today=TODAY)


class TestChoosing:
    def test_a_third_of_the_history_is_the_test(self) -> None:
        history = chosen(daily(days=300, A=5))

        assert (history.training, history.test) == (200, 100)
        assert history.test_from == START + timedelta(days=200)
        assert history.panel.until == START + timedelta(days=299)

    def test_looks_at_the_training_part_only(self) -> None:
        raw = daily(days=300, STEADY=5, LATE=1)
        is_late = (raw.rows["sku"] == "LATE") & (
            raw.rows["on"] >= pd.Timestamp(START + timedelta(days=200))
        )
        raw.rows.loc[is_late, "units"] = 1_000

        assert chosen(raw, Choice(1)).skus == ("STEADY",)

    def test_says_what_was_left_out(self) -> None:
        history = chosen(daily(A=5, B=4, C=3), Choice(2))

        assert history.skus == ("A", "B")
        assert history.left_out == ("1 item: sold for less than the 2 chosen before the test",)

    def test_takes_the_items_that_were_asked_for(self) -> None:
        assert chosen(daily(A=5, B=4, C=3), Choice(skus=("c",))).skus == ("C",)
        with pytest.raises(NotFound, match="'X'"):
            chosen(daily(A=5), Choice(skus=("X",)))

    def test_says_how_many_days_are_needed(self) -> None:
        with pytest.raises(NotEnoughData, match="spans 100 days; a backtest needs 112"):
            chosen(daily(days=100, A=5))

    def test_refuses_a_test_that_does_not_fit(self) -> None:
        with pytest.raises(InvalidInput, match="a test of 150 days does not fit"):
            chosen(daily(days=160, A=5), Choice(test_days=150))

    def test_refuses_a_history_without_sales(self) -> None:
        with pytest.raises(NotEnoughData, match="no sales"):
            chosen(daily(A=0))

    def test_refuses_months(self) -> None:
        raw = daily(days=40, A=5)
        raw.rows["on"] = pd.date_range("2022-01-01", periods=40, freq="MS")

        with pytest.raises(InvalidInput, match="monthly"):
            chosen(raw)

    def test_knows_weeks(self) -> None:
        raw = daily(days=60, A=5)
        raw.rows["on"] = pd.date_range("2024-01-07", periods=60, freq="W-SUN")

        history = chosen(raw)

        assert (history.panel.grain, history.training, history.test) == ("W", 40, 20)

    def test_an_item_at_two_places_is_two_series(self) -> None:
        raw = daily(A=5)
        north = raw.rows.assign(location="NORTH")
        south = raw.rows.assign(location="SOUTH", units=2)
        both = RawSales(pd.concat([north, south]), "a test", 320)

        assert chosen(both).skus == ("A @ NORTH", "A @ SOUTH")

    def test_a_stock_out_day_is_not_a_day_without_demand(self) -> None:
        raw = daily(A=5)
        raw.rows.loc[30:39, "units"] = 0
        raw.rows.loc[30:39, "is_in_stock"] = False

        history = chosen(raw)

        np.testing.assert_allclose(history.panel.units[0], 5.0)
        assert "10 item-days out of stock" in history.notes[0]


class TestMoney:
    def test_takes_what_the_file_says(self) -> None:
        history = chosen(daily(A=5))

        assert (history.price[0], history.unit_cost[0]) == (10.0, 6.0)
        assert history.notes == ()

    @pytest.mark.parametrize(
        ("price", "cost", "expected"),
        [
            (20.0, np.nan, (20.0, 12.0)),  # margin 40 %: 20 * 0.6
            (np.nan, 6.0, (10.0, 6.0)),  # 6 / 0.6
            (np.nan, np.nan, (10.0, 6.0)),  # the default price
            (10.0, 25.0, (10.0, 9.9)),  # sold at a loss: a lost sale would be a gain
        ],
    )
    def test_fills_in_the_rest(
        self, price: float, cost: float, expected: tuple[float, float]
    ) -> None:
        raw = daily(A=5)
        raw.rows["price"], raw.rows["unit_cost"] = price, cost

        history = chosen(raw)

        assert (history.price[0], history.unit_cost[0]) == pytest.approx(expected)

    def test_says_that_money_without_prices_is_a_scale(self) -> None:
        raw = daily(A=5)
        raw.rows["price"], raw.rows["unit_cost"] = np.nan, np.nan

        assert "a scale, no fact" in chosen(raw).notes[0]

    @pytest.mark.parametrize(
        "values", [{"holding_rate": 0}, {"margin_rate": 1.0}, {"lead_time_days": 4_000},
                   {"replications": 0}, {"order_cost": float("nan")}],
    )  # fmt: skip
    def test_refuses_absurd_assumptions(self, values: dict[str, float]) -> None:
        with pytest.raises(InvalidInput, match="must lie between"):
            Assumptions(**values)  # type: ignore[arg-type]


def test_the_demo_needs_no_database() -> None:
    history = chosen(demo_sales(), Choice(3))

    assert history.skus == ("22423", "85123A", "47566")
    assert (history.training, history.test, history.candidates) == (249, 124, 260)
    assert (history.moq >= history.multiple).all()
