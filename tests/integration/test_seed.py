"""The packaged demo shop."""

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import func
from sqlmodel import col, select

from db.demo import shop
from db.demo.build import tidy_name
from db.demo.suppliers import SUPPLIERS
from db.models.catalog import Item, PriceBreak, Supplier, SupplierItem
from db.models.identity import RoleLimit, User
from db.models.ingestion import Load
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine, Receipt, Shipment
from db.models.stock import Demand, StockLevel, StockMovement
from db.seed import DEMO_NOW, NotEmpty, seed_demo
from db.session import Database
from db.types import LoadState, Role, ShipmentStatus
from tests.factories import make_item
from tools.catalog.core import sku_key
from tools.catalog.service import resolve_item
from tools.clock import FixedClock

CLOCK = FixedClock(DEMO_NOW)


class TestPackage:
    def test_is_small_and_says_where_it_comes_from(self) -> None:
        folder = Path(str(files("db.demo")))

        assert sum(path.stat().st_size for path in folder.glob("*.*")) < 3_000_000
        text = (folder / "ATTRIBUTION.md").read_text()
        assert "CC BY 4.0" in text
        assert "Chen, D., Sain, S. L. and" in text

    def test_holds_a_year_of_real_sales(self) -> None:
        package = shop.read_package()

        assert len(package.items) == package.sales["sku"].nunique() == 260
        assert str(package.sales["on"].min()) == "2010-12-01"
        assert str(package.sales["on"].max()) == "2011-12-08"
        assert (package.sales[["units", "returned_units"]] >= 0).all(axis=None)

    def test_lateness_keeps_its_proportion(self) -> None:
        deliveries = shop.read_package().deliveries
        made = shop.receipts(deliveries)

        for supplier in SUPPLIERS:
            real = deliveries[deliveries["vendor"] == supplier.vendor].reset_index(drop=True)
            ours = made[made["supplier"] == supplier.code].reset_index(drop=True)
            promised = (pd.to_datetime(real["promised"]) - pd.to_datetime(real["po_sent"])).dt.days
            late = (pd.to_datetime(real["delivered"]) - pd.to_datetime(real["promised"])).dt.days
            factor = supplier.lead_time_days * 7 / 5 / promised.median()
            our_late = pd.to_datetime(ours["received_on"]) - pd.to_datetime(ours["promised_on"])
            assert len(ours) >= 30
            # Two spans are rounded to whole days: their difference is off by a day at most.
            assert (our_late.dt.days - late * factor).abs().max() <= 1

    def test_names_are_tidy(self) -> None:
        assert tidy_name("PAPER CHAIN KIT  50'S CHRISTMAS ") == "Paper Chain Kit 50's Christmas"
        assert tidy_name("HEART T-LIGHT (RED) IN A BOX") == "Heart T-Light (Red) in a Box"


def test_loads_the_shop(database: Database) -> None:
    steps: list[tuple[int, int]] = []

    summary = seed_demo(database, clock=CLOCK, progress=lambda a, b: steps.append((a, b)))

    assert (summary.items, summary.days, summary.suppliers) == (260, 373, 10)
    assert steps[-1] == (6, 6)
    with database.read() as session:
        load = session.exec(select(Load)).one()
        assert load.state is LoadState.PUBLISHED
        assert load.report["clock"] == "2011-12-09T07:30:00+00:00"
        rows, units = session.exec(select(func.count(), func.sum(Demand.units))).one()
        assert (rows, int(units)) == (summary.sales_rows, shop.read_package().sales["units"].sum())
        limits = {r.role: r.approval_limit_minor for r in session.exec(select(RoleLimit))}
        assert limits[Role.PLANNER] == 50_000
        assert limits[Role.APPROVER] == 250_000
        assert limits[Role.MANAGER] == 2_500_000
        assert {u.login for u in session.exec(select(User))} == {"pat", "anna", "mona", "adam", "vera"}  # fmt: skip  # noqa: E501
        assert session.exec(select(func.count()).select_from(Receipt)).one() >= 400


def test_loading_twice_changes_nothing(sqlite_database: Database) -> None:
    first = seed_demo(sqlite_database, clock=CLOCK)
    before = _digest(sqlite_database)

    assert seed_demo(sqlite_database, clock=CLOCK) == first
    assert _digest(sqlite_database) == before


def test_refuses_a_database_with_other_items(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        make_item(session)

    with pytest.raises(NotEmpty):
        seed_demo(sqlite_database, clock=CLOCK)


@pytest.fixture(scope="module")
def demo(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{path}")
    seed_demo(database, clock=CLOCK)
    yield database
    database.close()


class TestWorld:
    def test_keys_are_canonical(self, demo: Database) -> None:
        with demo.read() as session:
            items = session.exec(select(Item)).all()
            suppliers = session.exec(select(Supplier)).all()

            assert all(item.sku_key == sku_key(item.sku) for item in items)
            assert all(row.code_key == sku_key(row.code) for row in suppliers)
            assert resolve_item(session, "white hanging heart t-light holders").sku == "85123A"

    def test_stock_equals_its_movements(self, demo: Database) -> None:
        with demo.read() as session:
            moved = dict(
                session.exec(
                    select(StockMovement.item_id, func.sum(StockMovement.units)).group_by(
                        col(StockMovement.item_id)
                    )
                ).all()
            )
            levels = session.exec(select(StockLevel)).all()
            session.expunge_all()

        assert {level.item_id: level.on_hand_units for level in levels if level.on_hand_units} == moved  # fmt: skip  # noqa: E501

    def test_every_item_can_be_bought(self, demo: Database) -> None:
        with demo.read() as session:
            offers = session.exec(select(SupplierItem)).all()
            prices = {offer.id: offer.unit_price_minor for offer in offers}
            breaks = session.exec(select(PriceBreak)).all()
            session.expunge_all()

        assert len({offer.item_id for offer in offers if offer.is_preferred}) == 260
        assert all(offer.moq_units % offer.order_multiple_units == 0 for offer in offers)
        assert all(row.unit_price_minor < prices[row.supplier_item_id] for row in breaks)

    def test_orders_are_on_their_way(self, demo: Database) -> None:
        with demo.read() as session:
            orders = {order.number: order for order in session.exec(select(PurchaseOrder))}
            lines = session.exec(select(PurchaseOrderLine)).all()
            shipments = session.exec(select(Shipment)).all()
            session.expunge_all()

        assert orders["PO-1042"].promise_on == shop.days_from_now(3)
        assert all(
            order.total_minor == sum(x.amount_minor for x in lines if x.order_id == order.id) > 0
            for order in orders.values()
        )
        late = next(row for row in shipments if row.status is ShipmentStatus.EXCEPTION)
        assert late.order_id == orders["PO-1036"].id
        assert any(0 < line.received_units < line.ordered_units for line in lines)


def _digest(database: Database) -> str:
    found = hashlib.sha256()
    with database.read() as session:
        for table in (Item, Demand, StockLevel, PurchaseOrder, Receipt, Load):
            rows = [row.model_dump() for row in session.exec(select(table)).all()]
            found.update(repr(sorted(map(repr, rows))).encode())
    return found.hexdigest()
