"""Items, their other names, places, suppliers and what they sell."""

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from db.columns import at_least, choice, currency_code, key, moment, one_of, ref, whole
from db.types import AliasKind, DocumentFormat, ItemStatus


class Item(SQLModel, table=True):
    """A stock keeping unit. Quantities of the item are counted in ``uom`` everywhere."""

    __tablename__ = "item"
    __table_args__ = (
        one_of("status", ItemStatus),
        at_least("unit_cost_minor"),
        at_least("unit_price_minor"),
        currency_code(),
        CheckConstraint("length(sku) > 0", name="sku_not_empty"),
        CheckConstraint(
            "superseded_by_id IS NULL OR superseded_by_id <> id", name="not_its_own_heir"
        ),
    )
    id: int = key()
    sku: str = Field(max_length=64)
    sku_key: str = Field(max_length=64, unique=True)  # canonical spelling: catalog.core.sku_key
    name: str = Field(max_length=200)
    uom: str = Field(default="each", max_length=16)
    category: str = Field(default="", max_length=80)
    status: ItemStatus = choice(ItemStatus, ItemStatus.ACTIVE)
    abc: str = Field(default="", max_length=1)
    xyz: str = Field(default="", max_length=1)
    unit_cost_minor: int = whole(0)
    unit_price_minor: int = whole(0)  # selling price, median
    currency: str = Field(max_length=3)
    shelf_life_days: int | None = Field(default=None)
    superseded_by_id: int | None = ref("item.id", nullable=True)
    created_at: datetime = moment()
    volume_ml: int | None = whole(nullable=True)  # of one unit, for the limit of a store
    signature_required: bool = False  # whoever approves an order of it signs in anew


class ItemAlias(SQLModel, table=True):
    """Another name of an item: a supplier's number, a barcode, what people call it."""

    __tablename__ = "item_alias"
    __table_args__ = (
        UniqueConstraint("alias_key", "item_id"),
        one_of("kind", AliasKind),
    )
    id: int = key()
    item_id: int = ref("item.id")
    alias: str = Field(max_length=200)
    alias_key: str = Field(max_length=200, index=True)
    kind: AliasKind = choice(AliasKind, AliasKind.NAME)


class Location(SQLModel, table=True):
    """A warehouse or shop."""

    __tablename__ = "location"
    id: int = key()
    code: str = Field(max_length=32, unique=True)
    name: str = Field(max_length=120)
    timezone: str = Field(default="UTC", max_length=64)
    country: str = Field(default="", max_length=8)  # ISO 3166, with a part such as GB-ENG: holidays
    storage_ml: int | None = whole(nullable=True)


class Supplier(SQLModel, table=True):
    """Who sells to us. ``notes`` is untrusted text."""

    __tablename__ = "supplier"
    __table_args__ = (at_least("min_order_value_minor"), currency_code())
    id: int = key()
    code: str = Field(max_length=32)
    code_key: str = Field(max_length=32, unique=True)
    name: str = Field(max_length=120)
    email: str = Field(default="", max_length=200)
    currency: str = Field(max_length=3)
    min_order_value_minor: int = whole(0)
    working_days: str = Field(default="12345", max_length=7)  # ISO weekdays, 1 = Monday
    country: str = Field(default="", max_length=8)  # its public holidays are no working days
    is_approved: bool = Field(default=True)
    is_active: bool = Field(default=True)
    notes: str = Field(default="", max_length=4000)
    delivery_channel: str = Field(default="file", max_length=32)  # file, email, webhook
    delivery_address: str = Field(default="", max_length=300)  # e-mail address or URL
    delivery_format: DocumentFormat = choice(DocumentFormat, DocumentFormat.JSON)


class SupplierItem(SQLModel, table=True):
    """Terms under which a supplier sells an item. Quantities in the item's stock unit."""

    __tablename__ = "supplier_item"
    __table_args__ = (
        UniqueConstraint("supplier_id", "item_id"),
        at_least("unit_price_minor"),
        at_least("moq_units"),
        at_least("order_multiple_units", 1),
        at_least("pack_units", 1),
        at_least("quoted_lead_time_days"),
        at_least("duty_bp"),
        at_least("order_cost_minor"),
        CheckConstraint("max_units IS NULL OR max_units >= moq_units", name="max_not_below_moq"),
    )
    id: int = key()
    supplier_id: int = ref("supplier.id")
    item_id: int = ref("item.id")
    supplier_sku: str = Field(default="", max_length=64)
    unit_price_minor: int = whole()
    moq_units: int = whole(0)
    order_multiple_units: int = whole(1)
    max_units: int | None = whole(nullable=True)
    pack_uom: str = Field(default="each", max_length=16)
    pack_units: int = whole(1)  # stock units in one purchase unit
    quoted_lead_time_days: int = whole()  # working days of the supplier when it has a calendar
    duty_bp: int = whole(0)  # basis points of the price
    order_cost_minor: int = whole(0)  # freight and handling of one order line
    is_preferred: bool = Field(default=False)


class PriceBreak(SQLModel, table=True):
    """All-units discount: from ``min_units`` on, every unit costs this."""

    __tablename__ = "price_break"
    __table_args__ = (
        UniqueConstraint("supplier_item_id", "min_units"),
        at_least("min_units", 1),
        at_least("unit_price_minor"),
    )
    id: int = key()
    supplier_item_id: int = ref("supplier_item.id")
    min_units: int = whole()
    unit_price_minor: int = whole()


class ExchangeRate(SQLModel, table=True):
    """What one unit of a currency is worth in company currency, in millionths."""

    __tablename__ = "exchange_rate"
    __table_args__ = (at_least("rate_micro", 1), currency_code())
    currency: str = Field(primary_key=True, max_length=3)
    rate_micro: int = whole()
    updated_at: datetime = moment()
