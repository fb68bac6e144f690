"""demand events, corrections and overrides, forecast models, partitions of a run, rules of a policy"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only new tables and new columns: nothing is rebuilt, so no trigger or row can get lost."""
    op.create_table(
        "demand_correction",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "location_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column(
            "created_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "undone_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('outlier', 'one_off', 'cancellation', 'stockout', 'manual')",
            name=op.f("ck_demand_correction_kind_known"),
        ),
        sa.CheckConstraint(
            "units IS NULL OR units >= 0", name=op.f("ck_demand_correction_units_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"],
            ["app_user.id"],
            name=op.f("fk_demand_correction_created_by_id_app_user"),
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_demand_correction_item_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_demand_correction_location_id_location")
        ),
        sa.ForeignKeyConstraint(
            ["undone_by_id"],
            ["app_user.id"],
            name=op.f("fk_demand_correction_undone_by_id_app_user"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_demand_correction")),
    )
    op.create_index(
        op.f("ix_demand_correction_created_by_id"),
        "demand_correction",
        ["created_by_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_demand_correction_item_id"), "demand_correction", ["item_id"], unique=False
    )
    op.create_index(
        op.f("ix_demand_correction_location_id"), "demand_correction", ["location_id"], unique=False
    )
    op.create_index(
        op.f("ix_demand_correction_undone_by_id"),
        "demand_correction",
        ["undone_by_id"],
        unique=False,
    )
    op.create_table(
        "demand_event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("start_on", sa.Date(), nullable=False),
        sa.Column("end_on", sa.Date(), nullable=False),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "location_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "supplier_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("category", sa.String(length=80), nullable=False),
        sa.Column("uplift", sa.Float(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column(
            "created_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "withdrawn_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('promotion', 'holiday', 'closure', 'other')",
            name=op.f("ck_demand_event_kind_known"),
        ),
        sa.CheckConstraint("end_on >= start_on", name=op.f("ck_demand_event_ends_after_start")),
        sa.CheckConstraint(
            "uplift IS NULL OR uplift >= 0", name=op.f("ck_demand_event_uplift_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["app_user.id"], name=op.f("fk_demand_event_created_by_id_app_user")
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_demand_event_item_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_demand_event_location_id_location")
        ),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["supplier.id"], name=op.f("fk_demand_event_supplier_id_supplier")
        ),
        sa.ForeignKeyConstraint(
            ["withdrawn_by_id"],
            ["app_user.id"],
            name=op.f("fk_demand_event_withdrawn_by_id_app_user"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_demand_event")),
    )
    op.create_index(
        op.f("ix_demand_event_created_by_id"), "demand_event", ["created_by_id"], unique=False
    )
    op.create_index(op.f("ix_demand_event_item_id"), "demand_event", ["item_id"], unique=False)
    op.create_index(
        op.f("ix_demand_event_location_id"), "demand_event", ["location_id"], unique=False
    )
    op.create_index(
        op.f("ix_demand_event_supplier_id"), "demand_event", ["supplier_id"], unique=False
    )
    op.create_index(
        op.f("ix_demand_event_withdrawn_by_id"), "demand_event", ["withdrawn_by_id"], unique=False
    )
    op.create_table(
        "forecast_model",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("segment", sa.String(length=64), nullable=False),
        sa.Column("models", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("trained_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data_hash", sa.String(length=64), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column(
            "promoted_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("promoted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('challenger', 'champion', 'retired')",
            name=op.f("ck_forecast_model_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["promoted_by_id"],
            ["app_user.id"],
            name=op.f("fk_forecast_model_promoted_by_id_app_user"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forecast_model")),
    )
    op.create_index(
        op.f("ix_forecast_model_promoted_by_id"), "forecast_model", ["promoted_by_id"], unique=False
    )
    op.create_table(
        "forecast_override",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "location_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("start_on", sa.Date(), nullable=False),
        sa.Column("end_on", sa.Date(), nullable=False),
        sa.Column("basis", sa.String(length=32), nullable=False),
        sa.Column("units_per_day", sa.Float(), nullable=True),
        sa.Column(
            "analog_item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("analog_factor", sa.Float(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column(
            "created_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "withdrawn_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("system_units_per_day", sa.Float(), nullable=True),
        sa.Column("score", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "basis IN ('own', 'analog', 'category')", name=op.f("ck_forecast_override_basis_known")
        ),
        sa.CheckConstraint(
            "analog_factor IS NULL OR analog_factor > 0",
            name=op.f("ck_forecast_override_factor_positive"),
        ),
        sa.CheckConstraint(
            "end_on >= start_on", name=op.f("ck_forecast_override_ends_after_start")
        ),
        sa.CheckConstraint(
            "units_per_day IS NULL OR units_per_day >= 0",
            name=op.f("ck_forecast_override_units_not_negative"),
        ),
        sa.ForeignKeyConstraint(
            ["analog_item_id"], ["item.id"], name=op.f("fk_forecast_override_analog_item_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"],
            ["app_user.id"],
            name=op.f("fk_forecast_override_created_by_id_app_user"),
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_forecast_override_item_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_forecast_override_location_id_location")
        ),
        sa.ForeignKeyConstraint(
            ["withdrawn_by_id"],
            ["app_user.id"],
            name=op.f("fk_forecast_override_withdrawn_by_id_app_user"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forecast_override")),
    )
    op.create_index(
        op.f("ix_forecast_override_analog_item_id"),
        "forecast_override",
        ["analog_item_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_forecast_override_created_by_id"),
        "forecast_override",
        ["created_by_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_forecast_override_item_id"), "forecast_override", ["item_id"], unique=False
    )
    op.create_index(
        op.f("ix_forecast_override_location_id"), "forecast_override", ["location_id"], unique=False
    )
    op.create_index(
        op.f("ix_forecast_override_withdrawn_by_id"),
        "forecast_override",
        ["withdrawn_by_id"],
        unique=False,
    )
    op.add_column(
        "forecast", sa.Column("basis", sa.String(length=32), nullable=False, server_default="own")
    )
    op.add_column(
        "forecast", sa.Column("components", sa.JSON(), nullable=False, server_default="{}")
    )
    op.add_column(
        "forecast_run", sa.Column("settings", sa.JSON(), nullable=False, server_default="{}")
    )
    op.add_column(
        "forecast_run", sa.Column("partitions", sa.Integer(), nullable=False, server_default="1")
    )
    op.add_column(
        "forecast_run",
        sa.Column("partitions_done", sa.Integer(), nullable=False, server_default="1"),
    )
    op.add_column(
        "forecast_run", sa.Column("rolled_back_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("item", sa.Column("volume_ml", sa.BigInteger(), nullable=True))
    op.add_column(
        "location", sa.Column("country", sa.String(length=8), nullable=False, server_default="")
    )
    op.add_column("location", sa.Column("storage_ml", sa.BigInteger(), nullable=True))
    op.add_column(
        "policy", sa.Column("rule", sa.String(length=32), nullable=False, server_default="s_S")
    )
    op.add_column(
        "policy",
        sa.Column(
            "is_service_rate_optimised", sa.Boolean(), nullable=False, server_default=sa.false()
        ),
    )
    op.add_column(
        "supplier", sa.Column("country", sa.String(length=8), nullable=False, server_default="")
    )
