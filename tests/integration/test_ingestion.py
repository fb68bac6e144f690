"""Loading files: nothing lost, nothing twice, nothing half visible."""

import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func
from sqlmodel import col, select

from db.models.catalog import Item, ItemAlias, Location, PriceBreak, Supplier, SupplierItem
from db.models.ingestion import Load, QuarantinedRow, StagedRow
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine
from db.models.stock import Demand, StockLevel, StockMovement
from db.session import Database
from db.types import ItemStatus, LoadState, MovementKind, OrderState
from tests.conftest import NOW
from tests.factories import make_item, make_location, make_supplier
from tools.clock import FixedClock
from tools.errors import Conflict, InvalidInput
from tools.ingestion import service
from tools.ingestion.service import LoadReport
from tools.intake.service.applying import apply_chunk

CLOCK = FixedClock(NOW)
Ingest = Callable[..., LoadReport]


@pytest.fixture(autouse=True)
def _steady_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches do not shrink on a busy machine, so that tests can count them."""
    monkeypatch.setattr(service, "SLOW_S", 1e9)


@pytest.fixture
def ingest(database: Database, tmp_path: Path) -> Ingest:
    """Write a file and load it."""

    def load(kind: str, text: str | bytes, name: str = "file.csv", **options: Any) -> LoadReport:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return service.ingest(database, kind, path, clock=CLOCK, pause_s=0, **options)

    return load


def demand(database: Database) -> dict[tuple[str, str], tuple[int, int]]:
    """Published demand by SKU and day; the newest load wins."""
    with database.read() as session:
        rows = session.exec(
            select(col(Item.sku), col(Demand.on), col(Demand.units), col(Demand.returned_units))
            .where(Demand.item_id == Item.id, Demand.load_id == Load.id)
            .where(Load.state == LoadState.PUBLISHED)
            .order_by(col(Demand.load_id))
        ).all()
    return {(sku, on.isoformat()): (units, returned) for sku, on, units, returned in rows}


def count(database: Database, table: type[Any]) -> int:
    with database.read() as session:
        return session.exec(select(func.count()).select_from(table)).one()


class TestSales:
    def test_a_newcomer_needs_only_a_sales_file(self, database: Database, ingest: Ingest) -> None:
        report = ingest(
            "sales",
            "Invoice,StockCode,Description,Quantity,InvoiceDate,Price\n"
            "1,85123A,Heart holder,6,2026-02-27 08:26,2.55\n"
            "2,85123a,Heart holder,4,2026-02-27 09:00,2.55\n"
            "3,71053,Lantern,2,2026-02-28 10:00,3.39\n"
            "C4,85123A,Heart holder,-1,2026-02-28 11:00,2.55\n",
        )

        assert (report.rows_read, report.rows_good, report.rows_bad) == (4, 4, 0)
        assert report.state is LoadState.PUBLISHED
        assert report.message == (
            "Loaded 4 of 4 rows of sales; 2 new items, named by the file and without supplier "
            "or cost."
        )
        assert report.columns["sku"] == "StockCode"
        assert demand(database) == {
            ("85123A", "2026-02-27"): (10, 0),
            ("85123A", "2026-02-28"): (0, 1),
            ("71053", "2026-02-28"): (2, 0),
        }
        with database.read() as session:
            item = session.exec(select(Item).where(Item.sku == "71053")).one()
            assert (item.name, item.status, item.unit_price_minor) == ("Lantern", ItemStatus.NEW, 339)  # fmt: skip  # noqa: E501
            assert session.exec(select(Location.code)).all() == ["MAIN"]

    def test_bad_rows_are_set_aside_with_their_reason(
        self, database: Database, ingest: Ingest
    ) -> None:
        bad = ["-3", "NaN", "inf", "1e12", "2.5", "ten", ""]
        rows = [f"2026-03-01,A,{quantity}" for quantity in bad]
        rows += ["2026-03-01,,1", "2027-01-01,A,1", "soon,A,1", "2026-03-01,A", "2026-03-01,A,7"]

        report = ingest("sales", "date,sku,qty\n" + "\n".join(rows))

        assert (report.rows_read, report.rows_good, report.rows_bad) == (12, 1, 11)
        assert demand(database) == {("A", "2026-03-01"): (7, 0)}
        assert report.quarantine[0] == {
            "row_number": 2, "field": "quantity", "value": "-3",
            "reason": "is negative and names no document that it returns or cancels",
        }  # fmt: skip
        assert [row["row_number"] for row in report.quarantine] == list(range(2, 13))
        assert [row["field"] for row in report.quarantine[7:]] == ["sku", "date", "date", "row"]
        assert count(database, QuarantinedRow) == 11

    def test_the_same_file_again_changes_nothing(self, database: Database, ingest: Ingest) -> None:
        text = "date,sku,qty\n2026-03-01,A,7\n2026-03-01,A,x\n"

        first, again = ingest("sales", text), ingest("sales", text, name="copy.csv")

        assert (first.is_repeat, again.is_repeat) == (False, True)
        assert (again.load_id, again.rows_good) == (first.load_id, 1)
        assert again.message.startswith("This file was loaded before.")
        assert demand(database) == {("A", "2026-03-01"): (7, 0)}
        assert count(database, Load) == count(database, Demand) == 1

    def test_a_newer_file_replaces_the_days_that_it_covers(
        self, database: Database, ingest: Ingest
    ) -> None:
        ingest("sales", "date,sku,qty\n2026-02-27,A,7\n2026-02-28,A,7\n")
        ingest("sales", "date,sku,qty\n2026-02-28,A,9\n")

        assert demand(database) == {("A", "2026-02-27"): (7, 0), ("A", "2026-02-28"): (9, 0)}

    def test_a_barcode_names_its_item(self, database: Database, ingest: Ingest) -> None:
        ingest("items", "sku,name,barcode\nA,Lamp,4006381333931\n")
        ingest("sales", "date,ean,qty\n2026-03-01,4006381333931,2\n", mapping={"sku": "ean"})

        assert demand(database) == {("A", "2026-03-01"): (2, 0)}

    def test_a_correction_replaces_exactly_the_items_places_and_days_of_its_rows(
        self, database: Database, ingest: Ingest
    ) -> None:
        ingest("sales", "date,sku,qty\n2026-02-28,A,7\n2026-02-28,B,3\n2026-03-01,A,2\n")
        ingest("sales", "date,sku,qty\n2026-02-28,A,1\n2026-02-28,A,4\n")

        assert demand(database) == {
            ("A", "2026-02-28"): (5, 0),  # 1 + 4 instead of 7
            ("A", "2026-03-01"): (2, 0),
            ("B", "2026-02-28"): (3, 0),  # not in the correction: it stays
        }

    def test_today_is_the_company_s_day(self, database: Database, tmp_path: Path) -> None:
        path = tmp_path / "sales.csv"
        path.write_text("date,sku,qty\n2026-03-02,A,1\n2026-03-03,A,1\n")
        east = FixedClock(NOW + timedelta(hours=2))  # 11:00 UTC is 01:00 on 3 March in Kiritimati

        report = service.ingest(
            database, "sales", path, clock=east, pause_s=0, timezone="Pacific/Kiritimati"
        )

        assert report.rows_good == 2
        with database.read() as session:
            assert session.exec(select(Load.rows_bad)).one() == 0

    def test_the_first_place_of_the_file_is_the_first_place(
        self, database: Database, ingest: Ingest
    ) -> None:
        codes = ["W9", "EAST 2", "EAST", "A1", "Z3", "M4", "B6", "Q7", "west", "X2"]
        ingest("sales", "date,sku,qty,store\n" + "".join(f"2026-03-01,A,1,{c}\n" for c in codes))

        with database.read() as session:
            assert session.exec(select(Location.code).order_by(col(Location.id))).all() == codes

    def test_an_unknown_place_is_set_aside(self, database: Database, ingest: Ingest) -> None:
        with database.write() as session:
            make_location(session)

        report = ingest("sales", "date,sku,qty,store\n2026-03-01,A,2,MOON\n2026-03-01,A,3,main\n")

        assert report.quarantine[0]["reason"] == "is no known location"
        assert demand(database) == {("A", "2026-03-01"): (3, 0)}

    def test_the_first_file_brings_its_places(self, database: Database, ingest: Ingest) -> None:
        ingest("sales", "date,sku,qty,store\n2026-03-01,A,2,EAST\n2026-03-01,A,3,WEST\n")

        with database.read() as session:
            assert sorted(session.exec(select(Location.code))) == ["EAST", "WEST"]
        assert count(database, Demand) == 2

    @pytest.mark.parametrize("name", ["sales.xlsx", "sales.parquet", "sales.tsv"])
    def test_other_formats(
        self, database: Database, ingest: Ingest, tmp_path: Path, name: str
    ) -> None:
        frame = pd.DataFrame(
            {"day": [pd.Timestamp("2026-03-01")] * 2, "item": [22423, 22423], "units": [3, 4.0]}
        )
        path = tmp_path / "made"
        if name.endswith("xlsx"):
            frame.to_excel(path, index=False, engine="openpyxl")
        elif name.endswith("parquet"):
            frame.to_parquet(path, index=False)
        else:
            frame.to_csv(path, index=False, sep="\t")

        ingest("sales", path.read_bytes(), name)

        assert demand(database) == {("22423", "2026-03-01"): (7, 0)}


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"", "the file is empty"),
            (b"date,sku,qty\n", "has a header and no rows"),
            (b"date,sku,menge\n2026-03-01,A,1\n", "sales needs a column for quantity"),
            (b"date,sku,qty\n2026-03-01,Caf\x81,1\n", "neither UTF-8 nor Windows-1252"),
            (b"date,sku,qty\n03/04/2025,A,1\n", "can be read two ways"),
            (b"PK\x03\x04", "not an Excel workbook"),
        ],
    )
    def test_a_file_that_cannot_be_read_leaves_no_trace(
        self, database: Database, ingest: Ingest, content: bytes, sentence: str
    ) -> None:
        with pytest.raises(InvalidInput, match=sentence) as caught:
            ingest("sales", content)

        assert caught.value.next_step
        assert count(database, Load) == count(database, Item) == 0

    def test_a_kind_or_file_that_does_not_exist(self, database: Database, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="no kind of file 'weather'"):
            service.ingest(database, "weather", tmp_path / "x.csv", clock=CLOCK)
        with pytest.raises(InvalidInput, match=r"x\.csv' cannot be opened"):
            service.ingest(database, "sales", tmp_path / "x.csv", clock=CLOCK)

    def test_a_file_that_breaks_off_is_not_half_loaded(
        self, database: Database, ingest: Ingest
    ) -> None:
        good = "".join(f"2026-03-01,A{n},1\n" for n in range(6_000))

        with pytest.raises(InvalidInput, match="cannot be read after line 6002"):
            ingest("sales", "date,sku,qty\n" + good + '2026-03-01,"' + "x" * 40_000)

        with database.read() as session:
            assert session.exec(select(Load.state)).one() is LoadState.FAILED
        assert count(database, Demand) == 0

    def test_a_file_without_a_good_row_has_failed_and_can_be_tried_again(
        self, database: Database, ingest: Ingest
    ) -> None:
        text = "sku,on hand\nA,5\n"
        failed = ingest("stock", text)
        with database.write() as session:
            make_location(session)
            make_item(session, "A", "Lamp")

        again = ingest("stock", text)

        assert failed.state is LoadState.FAILED
        assert failed.message.startswith("None of the 1 rows could be loaded")
        assert (again.state, again.is_repeat, again.rows_bad) == (LoadState.PUBLISHED, False, 0)
        assert count(database, QuarantinedRow) == 0


class TestMasterData:
    def test_items_are_added_and_changed(self, database: Database, ingest: Ingest) -> None:
        ingest("items", "sku,name,uom,unit cost,status\nA-1,Lamp,each,1.50,active\nB,Bulb,,,\n")
        ingest("items", "sku,name,unit cost\na-1,Desk lamp,1.75\n")

        with database.read() as session:
            lamp = session.exec(select(Item).where(Item.sku_key == "a-1")).one()
            assert (lamp.sku, lamp.name, lamp.uom) == ("A-1", "Desk lamp", "each")
            assert lamp.unit_cost_minor == 175
            assert lamp.currency == "GBP"
        assert count(database, Item) == 2
        assert count(database, StagedRow) == 0

    def test_suppliers_with_their_terms(self, database: Database, ingest: Ingest) -> None:
        ingest("items", "sku,name\nA,Lamp\n")

        report = ingest(
            "suppliers",
            "code,name,sku,supplier sku,price,moq,case size,lead time days\n"
            "ACME,Acme,A,AC-1,7.80,120,12,9\n"
            "BOR,Borealis,,,,,,\n"
            "BOR,Borealis,A,B-1,,,,\n"
            "BOR,Borealis,ZZZ,B-2,1.00,,,\n",
        )

        assert [row["reason"] for row in report.quarantine] == [
            "is empty; an item's terms need a price", "is no known item; load items first",
        ]  # fmt: skip
        with database.read() as session:
            terms = session.exec(select(SupplierItem)).one()
            assert (terms.unit_price_minor, terms.moq_units, terms.pack_units) == (780, 120, 12)
            assert (terms.order_multiple_units, terms.quoted_lead_time_days) == (12, 9)
            assert terms.is_preferred
            assert session.exec(select(ItemAlias.alias)).one() == "AC-1"
            assert sorted(session.exec(select(Supplier.code))) == ["ACME", "BOR"]

    def test_a_count_of_stock_is_a_movement(self, database: Database, ingest: Ingest) -> None:
        with database.write() as session:
            make_location(session)
            make_item(session, "A", "Lamp")

        ingest("stock", "sku,on_hand,allocated\nA,620,80\n")
        report = ingest("stock", "sku,counted\nA,600\nB,3\nA,-1\n")

        assert [row["reason"] for row in report.quarantine] == [
            "is no known item; load items first", "was in the file before",
        ]  # fmt: skip
        with database.read() as session:
            level = session.exec(select(StockLevel)).one()
            assert (level.on_hand_units, level.allocated_units) == (600, 80)
            moved = session.exec(select(StockMovement.kind, StockMovement.units)).all()
            assert moved == [(MovementKind.OPENING, 620), (MovementKind.ADJUSTMENT, -20)]

    def test_an_older_count_that_comes_again_is_a_new_count(
        self, database: Database, ingest: Ingest
    ) -> None:
        with database.write() as session:
            make_location(session)
            make_item(session, "A", "Lamp")
        first, second = "sku,on_hand\nA,620\n", "sku,on_hand\nA,600\n"

        reports = [ingest("stock", text) for text in (first, second, second, first, first)]

        assert [report.is_repeat for report in reports] == [False, False, True, False, True]
        assert "items that are not in the file keep their balance" in reports[0].message
        with database.read() as session:
            assert session.exec(select(StockLevel.on_hand_units)).one() == 620
            moved = session.exec(select(StockMovement.units).order_by(col(StockMovement.id))).all()
            assert moved == [620, -20, 20]

    def test_an_item_that_a_count_does_not_name_keeps_its_balance(
        self, database: Database, ingest: Ingest
    ) -> None:
        with database.write() as session:
            make_location(session)
            make_item(session, "A", "Lamp")
            make_item(session, "B", "Bulb")

        ingest("stock", "sku,on_hand\nA,5\nB,7\n")
        ingest("stock", "sku,on_hand\nA,4\n")

        with database.read() as session:
            units = session.exec(select(StockLevel.on_hand_units).order_by(col(StockLevel.item_id)))
            assert units.all() == [4, 7]

    def test_bins_of_a_place_add_up_and_one_may_be_negative(
        self, database: Database, ingest: Ingest
    ) -> None:
        with database.write() as session:
            make_location(session)
            make_item(session, "A", "Lamp")

        ingest("stock", "sku,on_hand,allocated,bin\nA,620,50,R1\nA,-150,30,R2\n")

        with database.read() as session:
            level = session.exec(select(StockLevel)).one()
            assert (level.on_hand_units, level.allocated_units) == (470, 80)

    def test_open_orders_are_on_their_way(self, database: Database, ingest: Ingest) -> None:
        with database.write() as session:
            make_location(session)
            make_item(session, "A", "Lamp")
            make_item(session, "B", "Bulb")
            make_supplier(session)
        text = (
            "PO,supplier,sku,qty,price,order date,promise date,received\n"
            "PO-77,acme,A,300,8.00,2026-02-25,2026-03-06,0\n"
            "PO-77,acme,B,10,1.00,2026-02-25,2026-03-08,4\n"
            "PO-78,nobody,A,1,1.00,2026-02-25,,\n"
            "PO-79,acme,A,1,1.00,,,2\n"
        )

        report = ingest("orders", text)

        assert [(row["field"], row["reason"]) for row in report.quarantine] == [
            ("supplier", "is no known supplier"), ("received", "is more than was ordered"),
        ]  # fmt: skip
        with database.read() as session:
            order = session.exec(select(PurchaseOrder)).one()
            assert (order.number, order.total_minor) == ("PO-77", 300 * 800 + 10 * 100)
            assert order.state is OrderState.PARTIALLY_RECEIVED
            assert order.promise_on == date(2026, 3, 8)
            assert order.is_imported
            assert order.sent_at is not None
            assert order.sent_at.date() == date(2026, 2, 25)
        assert count(database, PurchaseOrderLine) == 2


class TestTerms:
    @pytest.fixture
    def shop(self, database: Database) -> Database:
        with database.write() as session:
            make_location(session)
            make_item(session, "A", "Lamp")
            make_item(session, "B", "Bulb")
        return database

    def test_absent_columns_leave_the_stored_terms(self, shop: Database, ingest: Ingest) -> None:
        ingest(
            "suppliers",
            "code,name,sku,price,moq,case size,lead time days,currency,working days,max units\n"
            "ACME,Acme,A,7.80,120,12,9,USD,1234,600\n",
        )

        report = ingest("suppliers", "code,name,sku,price\nACME,Acme,A,7.95\nACME,Acme,B,1.00\n")

        assert report.message == (
            "Loaded 2 of 2 rows of suppliers; 1 new terms name no lead time, 14 days are assumed."
        )
        with shop.read() as session:
            lamp, bulb = session.exec(select(SupplierItem).order_by(col(SupplierItem.id))).all()
            assert (lamp.unit_price_minor, lamp.moq_units, lamp.pack_units) == (795, 120, 12)
            assert (lamp.order_multiple_units, lamp.quoted_lead_time_days) == (12, 9)
            assert (lamp.pack_uom, lamp.max_units) == ("case", 600)
            assert (bulb.moq_units, bulb.pack_units, bulb.quoted_lead_time_days) == (0, 1, 14)
            supplier = session.exec(select(Supplier)).one()
            assert (supplier.currency, supplier.working_days) == ("USD", "1234")

    @pytest.mark.usefixtures("shop")
    def test_terms_that_contradict_stored_ones_are_set_aside(self, ingest: Ingest) -> None:
        ingest("suppliers", "code,name,sku,price,max units\nACME,Acme,A,7.80,100\n")

        report = ingest("suppliers", "code,name,sku,price,moq\nACME,Acme,A,7.80,120\n")

        assert report.quarantine[0]["reason"] == "would be 100, below the minimum order of 120"

    def test_new_terms_need_a_price_and_stored_ones_keep_theirs(
        self, shop: Database, ingest: Ingest
    ) -> None:
        ingest("suppliers", "code,name,sku,price\nACME,Acme,A,7.80\n")

        report = ingest("suppliers", "code,name,sku,moq\nACME,Acme,A,5\nACME,Acme,B,5\n")

        assert [row["reason"] for row in report.quarantine] == [
            "is empty; an item's terms need a price"
        ]
        with shop.read() as session:
            terms = session.exec(select(SupplierItem)).one()
            assert (terms.unit_price_minor, terms.moq_units) == (780, 5)

    def test_price_breaks_are_replaced(self, shop: Database, ingest: Ingest) -> None:
        ingest(
            "suppliers",
            "code,name,sku,price,break1 units,break1 price\nACME,Acme,A,8.00,50,7.90\n",
        )
        ingest(
            "suppliers", "code,name,sku,price,price breaks\nACME,Acme,A,8.00,1000:7.80;5000:7.60\n"
        )
        ingest("suppliers", "code,name,sku,price\nACME,Acme,A,8.10\n")

        with shop.read() as session:
            breaks = session.exec(select(PriceBreak).order_by(col(PriceBreak.min_units))).all()
            assert [(row.min_units, row.unit_price_minor) for row in breaks] == [
                (1000, 780), (5000, 760),
            ]  # fmt: skip

    def test_many_rows_in_several_transactions(
        self, shop: Database, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service, "APPLIED_ROWS", 2)
        rows = "".join(f"S{n % 3},Supplier,{sku},1.00\n" for n in range(3) for sku in "AB")

        report = ingest("suppliers", "code,name,sku,price\n" + rows)

        assert (report.state, report.rows_good) == (LoadState.PUBLISHED, 6)
        assert (count(shop, Supplier), count(shop, SupplierItem)) == (3, 6)
        with shop.read() as session:
            preferred = col(SupplierItem.is_preferred).is_(True)
            assert len(session.exec(select(SupplierItem).where(preferred)).all()) == 2
        assert count(shop, StagedRow) == 0


HEADER = "PO,supplier,sku,qty,price,promise date,received\n"


class TestOrders:
    @pytest.fixture
    def shop(self, database: Database) -> Database:
        with database.write() as session:
            make_location(session)
            make_item(session, "A", "Lamp")
            make_item(session, "B", "Bulb")
            make_supplier(session)
            make_supplier(session, "BOR", "Borealis")
        return database

    def test_spellings_of_a_number_are_one_order(self, shop: Database, ingest: Ingest) -> None:
        report = ingest(
            "orders", HEADER + "PO-1,ACME,A,5,1.00,,\npo-1,Acme,B,6,1.00,,\nPo-1,BOR,A,1,1.00,,\n"
        )

        assert [(row["row_number"], row["reason"]) for row in report.quarantine] == [
            (4, "was in the file before"),
        ]  # fmt: skip
        with shop.read() as session:
            assert session.exec(select(PurchaseOrder.number)).all() == ["PO-1"]
        assert count(shop, PurchaseOrderLine) == 2

    @pytest.mark.usefixtures("shop")
    def test_an_order_has_one_supplier(self, ingest: Ingest) -> None:
        report = ingest("orders", HEADER + "PO-1,ACME,A,5,1.00,,\nPO-1,BOR,B,6,1.00,,\n")

        assert [(row["field"], row["reason"]) for row in report.quarantine] == [
            ("supplier", "is not the supplier of this order's other rows")
        ]

    def test_an_order_that_comes_again_is_updated(self, shop: Database, ingest: Ingest) -> None:
        def state() -> tuple[Any, ...]:
            with shop.read() as session:
                order = session.exec(select(PurchaseOrder)).one()
                lines = session.exec(
                    select(PurchaseOrderLine.received_units).order_by(col(PurchaseOrderLine.id))
                ).all()
                return order.state, order.promise_on, lines

        def send(*rows: str) -> LoadReport:
            return ingest("orders", HEADER + "".join(f"{row}\n" for row in rows))

        send("PO-1,ACME,A,5,1.00,,", "PO-1,ACME,B,6,1.00,,")
        assert state() == (OrderState.SENT, None, [0, 0])
        send("po-1,ACME,A,5,1.00,2026-03-09,", "po-1,ACME,B,6,1.00,2026-03-11,")
        assert state() == (OrderState.CONFIRMED, date(2026, 3, 11), [0, 0])
        send("PO-1,ACME,A,5,1.00,,5")
        assert state() == (OrderState.PARTIALLY_RECEIVED, date(2026, 3, 11), [5, 0])
        refused = send("PO-1,ACME,A,5,1.00,,3", "PO-1,ACME,B,7,1.00,,6", "PO-1,BOR,B,6,1.00,,6")
        assert [row["reason"] for row in refused.quarantine] == [
            "is less than the 5 stored",
            "is not the 6 of the import before; quantities are not changed",
            "was in the file before",
        ]
        send("PO-1,ACME,A,5,1.00,,5", "PO-1,ACME,B,6,1.00,,6")
        assert state() == (OrderState.RECEIVED, date(2026, 3, 11), [5, 6])
        assert count(shop, StockMovement) == 0  # the stock file counts what arrived

    def test_an_order_of_our_own_is_not_touched(self, shop: Database, ingest: Ingest) -> None:
        ingest("orders", HEADER + "PO-1,ACME,A,5,1.00,,\n")
        with shop.write() as session:
            session.exec(select(PurchaseOrder)).one().is_imported = False

        report = ingest("orders", HEADER + "PO-1,ACME,A,5,1.00,,5\n")

        assert report.state is LoadState.FAILED
        assert report.quarantine[0]["reason"].endswith("with: quartermaster receive")


class TestFailures:
    def test_a_broken_file_leaves_nothing_staged(self, database: Database, tmp_path: Path) -> None:
        path = tmp_path / "sales.parquet"
        sales = pa.table({"date": ["2026-02-01"] * 6_000, "sku": ["A"] * 6_000, "qty": [1] * 6_000})
        days = pa.array([0] * 5_000 + [2**62] * 1_000, pa.timestamp("ms"))
        pq.write_table(sales.append_column("since", days), path)

        with pytest.raises(InvalidInput, match="not a Parquet file that can be read"):
            service.ingest(database, "sales", path, clock=CLOCK, pause_s=0)

        assert count(database, Demand) == 0
        with database.read() as session:
            load = session.exec(select(Load)).one()
            assert (load.state, load.rows_read) == (LoadState.FAILED, 5_000)

    def test_an_unexpected_failure_leaves_nothing_staged(
        self, database: Database, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> bool:
            raise RuntimeError("a defect")

        monkeypatch.setattr(service, "apply_chunk", fail)
        with pytest.raises(RuntimeError, match="a defect"):
            ingest("items", "sku,name\nA,Lamp\n")
        monkeypatch.undo()

        assert count(database, StagedRow) == 0
        assert ingest("items", "sku,name\nA,Lamp\n").state is LoadState.PUBLISHED

    def test_a_number_that_somebody_took_meanwhile(
        self, database: Database, ingest: Ingest
    ) -> None:
        with database.write() as session:
            place, supplier = make_location(session), make_supplier(session)
            make_item(session, "A", "Lamp")

        def take(_done: int, _expected: int) -> None:
            with database.write() as session:
                session.add(
                    PurchaseOrder(
                        number="PO-1", supplier_id=supplier.id, location_id=place.id,
                        currency="GBP", fingerprint="f", created_at=NOW,
                    )
                )  # fmt: skip

        text = HEADER + "PO-1,ACME,A,5,1.00,,\n"
        with pytest.raises(Conflict, match="changed by somebody else meanwhile"):
            ingest("orders", text, progress=take)

        assert count(database, StagedRow) == 0
        assert ingest("orders", text).quarantine[0]["field"] == "number"

    def test_a_killed_application_goes_on_where_it_stopped(
        self, database: Database, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with database.write() as session:
            make_location(session)
            for number in range(6):
                make_item(session, f"A{number}", "Lamp")
        text = "sku,on_hand\n" + "".join(f"A{number},{number + 1}\n" for number in range(6))
        monkeypatch.setattr(service, "APPLIED_ROWS", 2)
        calls: list[tuple[Any, ...]] = []

        def die(*arguments: Any) -> bool:
            calls.append(arguments)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return apply_chunk(*arguments)

        monkeypatch.setattr(service, "apply_chunk", die)
        with pytest.raises(KeyboardInterrupt):
            ingest("stock", text)
        assert (count(database, StockLevel), count(database, StagedRow)) == (2, 4)

        report = ingest("stock", text)

        assert (report.state, report.rows_good) == (LoadState.PUBLISHED, 6)
        with database.read() as session:
            levels = session.exec(select(StockLevel.on_hand_units).order_by(col(StockLevel.id)))
            assert levels.all() == [1, 2, 3, 4, 5, 6]
        assert (count(database, StockMovement), count(database, StagedRow)) == (6, 0)


class TestInterruption:
    def write(self, path: Path, rows: int) -> None:
        days = [(date(2025, 1, 1) + timedelta(days=n % 300)).isoformat() for n in range(rows)]
        lines = (f"{day},S{n % 97},1,{n}\n" for n, day in enumerate(days))
        path.write_text("date,sku,qty,invoice\n" + "".join(lines) + "2026-01-01,S1,bad,9\n")

    def test_a_killed_import_goes_on_where_it_stopped(
        self, database: Database, tmp_path: Path
    ) -> None:
        path = tmp_path / "sales.csv"
        self.write(path, 12_000)
        script = textwrap.dedent("""
            import os, signal, sys
            from db.session import Database
            from tests.conftest import NOW
            from tools.clock import FixedClock
            from tools.ingestion import service

            service.SLOW_S = 1e9

            def die(done, expected):
                if done >= 10_000:
                    os.kill(os.getpid(), signal.SIGKILL)

            service.ingest(Database(sys.argv[1]), "sales", sys.argv[2], clock=FixedClock(NOW),
                           progress=die, pause_s=0)
        """)
        killed = subprocess.run([sys.executable, "-c", script, database.url, path], check=False)

        assert killed.returncode == -9
        assert demand(database) == {}
        with database.read() as session:
            watermark = session.exec(select(Load.rows_read, Load.state)).one()
            assert watermark == (10_000, LoadState.STAGING)
        steps: list[tuple[int, int]] = []
        report = service.ingest(
            database, "sales", path, clock=CLOCK, pause_s=0,
            progress=lambda a, b: steps.append((a, b)),
        )  # fmt: skip
        assert steps == [(12_001, 12_001)]
        assert (report.rows_read, report.rows_good, report.rows_bad) == (12_001, 12_000, 1)
        assert sum(units for units, _ in demand(database).values()) == 12_000

    def test_two_imports_of_one_file_do_not_mix(self, database: Database, tmp_path: Path) -> None:
        path = tmp_path / "sales.csv"
        self.write(path, 7_000)

        def intrude(done: int, _expected: int) -> None:
            if done == 5_000:
                service.ingest(database, "sales", path, clock=CLOCK, pause_s=0)

        with pytest.raises(Conflict, match="loaded by somebody else"):
            service.ingest(database, "sales", path, clock=CLOCK, pause_s=0, progress=intrude)

        assert sum(units for units, _ in demand(database).values()) == 7_000
        assert count(database, Load) == 1

    def test_nothing_is_visible_before_the_end(self, database: Database, tmp_path: Path) -> None:
        path = tmp_path / "sales.csv"
        self.write(path, 6_000)
        seen = []

        service.ingest(
            database, "sales", path, clock=CLOCK, pause_s=0,
            progress=lambda _a, _b: seen.append(len(demand(database))),
        )  # fmt: skip

        assert seen == [0, 0]
        assert demand(database)


def test_transactions_shrink_while_the_machine_is_busy(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sales.csv"
    TestInterruption().write(path, 9_999)
    monkeypatch.setattr(service, "SLOW_S", 0.0)
    done = [0]

    report = service.ingest(
        sqlite_database, "sales", path, clock=CLOCK, pause_s=0,
        progress=lambda rows, _: done.append(rows),
    )  # fmt: skip

    steps = [b - a for a, b in pairwise(done)]
    assert steps == [5_000, 2_500, 1_250, 625, 625]
    assert report.rows_good == 9_999


quantities = st.sampled_from(["1", "2", "30", "-4", "x", "1e12", ""])
lines = st.lists(
    st.tuples(
        st.sampled_from(["2026-02-26", "2026-02-27", "2026-02-30"]),
        st.sampled_from(["A", "B", "C", ""]),
        quantities,
        st.sampled_from(["", "d1", "d2"]),
    ),
    min_size=1, max_size=25,
)  # fmt: skip


def expected(rows: Iterable[tuple[str, str, str, str]]) -> dict[tuple[str, str], tuple[int, int]]:
    """The rules of a sales file once more, as plainly as possible."""
    seen: set[tuple[str, ...]] = set()
    sold: Counter[tuple[str, str]] = Counter()
    returned: Counter[tuple[str, str]] = Counter()
    days = set()
    for row in rows:
        on, sku, quantity, document = row
        if on == "2026-02-30" or not sku or quantity in ("x", "1e12", ""):
            continue
        if int(quantity) < 0 and not document:
            continue
        if document and row in seen:
            continue
        seen.add(row)
        days.add((sku, on))
        sold[sku, on] += max(int(quantity), 0)
        returned[sku, on] += max(-int(quantity), 0)
    return {key: (sold[key], returned[key]) for key in days}


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=lines, batch_rows=st.integers(1, 9))
def test_any_file_in_any_pieces_gives_the_same_demand(
    sqlite_database: Database, tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str, str]], batch_rows: int,
) -> None:  # fmt: skip
    path = tmp_path_factory.mktemp("any") / "sales.csv"
    path.write_text("date,sku,qty,invoice\n" + "".join(",".join(row) + "\n" for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "BATCH_ROWS", batch_rows)
        report = service.ingest(sqlite_database, "sales", path, clock=CLOCK, pause_s=0)
        again = service.ingest(sqlite_database, "sales", path, clock=CLOCK, pause_s=0)

    assert report.rows_good + report.rows_bad == report.rows_read == len(rows)
    assert again.rows_good == report.rows_good
    assert _demand_of(sqlite_database, report.load_id) == expected(rows)


def _demand_of(database: Database, load_id: int) -> dict[tuple[str, str], tuple[int, int]]:
    with database.read() as session:
        rows = session.exec(
            select(
                col(Item.sku), col(Demand.on), col(Demand.units), col(Demand.returned_units)
            ).where(Demand.item_id == Item.id, Demand.load_id == load_id)
        ).all()
    return {(sku, on.isoformat()): (units, returned) for sku, on, units, returned in rows}


def test_prices_without_two_decimals_are_refused(sqlite_database: Database, tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("sku,name,cost\nA,Lamp,1500\n")

    with pytest.raises(InvalidInput, match="'JPY'"):
        service.ingest(sqlite_database, "items", path, clock=FixedClock(NOW), currency="JPY")
