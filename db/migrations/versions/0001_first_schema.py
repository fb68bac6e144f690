"""first schema"""

import sqlalchemy as sa
from alembic import op

from db.schema import FIRST_APPEND_ONLY, append_only_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "app_user",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("approval_limit_minor", sa.BigInteger(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "role IN ('viewer', 'planner', 'approver', 'manager', 'admin', 'service')",
            name=op.f("ck_app_user_role_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_user")),
        sa.UniqueConstraint("login", name=op.f("uq_app_user_login")),
    )
    op.create_table(
        "audit_event",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("actor_kind", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("object_id", sa.String(length=64), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("meaning", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("prev_mac", sa.String(length=64), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "actor_kind IN ('human', 'agent', 'system')",
            name=op.f("ck_audit_event_actor_kind_known"),
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_event")),
        sa.UniqueConstraint("mac", name=op.f("uq_audit_event_mac")),
    )
    op.create_index(op.f("ix_audit_event_actor"), "audit_event", ["actor"], unique=False)
    op.create_index(op.f("ix_audit_event_object_id"), "audit_event", ["object_id"], unique=False)

    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("value >= 0", name=op.f("ck_counter_value_not_negative")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.create_table(
        "exchange_rate",
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("rate_micro", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "length(currency) = 3 AND upper(currency) = currency",
            name=op.f("ck_exchange_rate_currency_iso"),
        ),
        sa.CheckConstraint("rate_micro >= 1", name=op.f("ck_exchange_rate_rate_micro_at_least_1")),
        sa.PrimaryKeyConstraint("currency", name=op.f("pk_exchange_rate")),
    )
    op.create_table(
        "forecast_run",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("as_of_on", sa.Date(), nullable=False),
        sa.Column("grain", sa.String(length=1), nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("series_count", sa.Integer(), nullable=False),
        sa.Column("data_hash", sa.String(length=64), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forecast_run")),
    )
    op.create_table(
        "item",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("sku_key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("uom", sa.String(length=16), nullable=False),
        sa.Column("category", sa.String(length=80), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("abc", sa.String(length=1), nullable=False),
        sa.Column("xyz", sa.String(length=1), nullable=False),
        sa.Column("unit_cost_minor", sa.BigInteger(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("shelf_life_days", sa.Integer(), nullable=True),
        sa.Column(
            "superseded_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('new', 'active', 'phase_out', 'discontinued')",
            name=op.f("ck_item_status_known"),
        ),
        sa.CheckConstraint(
            "length(currency) = 3 AND upper(currency) = currency", name=op.f("ck_item_currency_iso")
        ),
        sa.CheckConstraint("length(sku) > 0", name=op.f("ck_item_sku_not_empty")),
        sa.CheckConstraint(
            "superseded_by_id IS NULL OR superseded_by_id <> id",
            name=op.f("ck_item_not_its_own_heir"),
        ),
        sa.CheckConstraint(
            "unit_cost_minor >= 0", name=op.f("ck_item_unit_cost_minor_not_negative")
        ),
        sa.CheckConstraint(
            "unit_price_minor >= 0", name=op.f("ck_item_unit_price_minor_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["superseded_by_id"], ["item.id"], name=op.f("fk_item_superseded_by_id_item")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item")),
        sa.UniqueConstraint("sku_key", name=op.f("uq_item_sku_key")),
    )
    op.create_index(op.f("ix_item_superseded_by_id"), "item", ["superseded_by_id"], unique=False)

    op.create_table(
        "load",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("rows_good", sa.BigInteger(), nullable=False),
        sa.Column("rows_bad", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('staging', 'published', 'failed')", name=op.f("ck_load_state_known")
        ),
        sa.CheckConstraint("rows_bad >= 0", name=op.f("ck_load_rows_bad_not_negative")),
        sa.CheckConstraint("rows_good >= 0", name=op.f("ck_load_rows_good_not_negative")),
        sa.CheckConstraint("rows_read >= 0", name=op.f("ck_load_rows_read_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_load")),
        sa.UniqueConstraint("kind", "content_hash", name=op.f("uq_load_kind_content_hash")),
    )
    op.create_index(op.f("ix_load_state"), "load", ["state"], unique=False)

    op.create_table(
        "location",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
        sa.UniqueConstraint("code", name=op.f("uq_location_code")),
    )
    op.create_table(
        "role_limit",
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("approval_limit_minor", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "role IN ('viewer', 'planner', 'approver', 'manager', 'admin', 'service')",
            name=op.f("ck_role_limit_role_known"),
        ),
        sa.CheckConstraint(
            "approval_limit_minor IS NULL OR approval_limit_minor >= 0",
            name=op.f("ck_role_limit_limit_not_negative"),
        ),
        sa.PrimaryKeyConstraint("role", name=op.f("pk_role_limit")),
    )
    op.create_table(
        "supplier",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("code_key", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=200), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("min_order_value_minor", sa.BigInteger(), nullable=False),
        sa.Column("working_days", sa.String(length=7), nullable=False),
        sa.Column("is_approved", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("notes", sa.String(length=4000), nullable=False),
        sa.CheckConstraint(
            "length(currency) = 3 AND upper(currency) = currency",
            name=op.f("ck_supplier_currency_iso"),
        ),
        sa.CheckConstraint(
            "min_order_value_minor >= 0",
            name=op.f("ck_supplier_min_order_value_minor_not_negative"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supplier")),
        sa.UniqueConstraint("code_key", name=op.f("uq_supplier_code_key")),
    )
    op.create_table(
        "api_key",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["app_user.id"], name=op.f("fk_api_key_user_id_app_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("key_id", name=op.f("uq_api_key_key_id")),
    )
    op.create_index(op.f("ix_api_key_user_id"), "api_key", ["user_id"], unique=False)

    op.create_table(
        "demand",
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "location_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("load_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("returned_units", sa.BigInteger(), nullable=False),
        sa.Column("is_in_stock", sa.Boolean(), nullable=False),
        sa.Column("flag", sa.String(length=32), nullable=False),
        sa.CheckConstraint(
            "returned_units >= 0", name=op.f("ck_demand_returned_units_not_negative")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_demand_item_id_item")),
        sa.ForeignKeyConstraint(["load_id"], ["load.id"], name=op.f("fk_demand_load_id_load")),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_demand_location_id_location")
        ),
        sa.PrimaryKeyConstraint("item_id", "location_id", "on", "load_id", name=op.f("pk_demand")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "forecast",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "location_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("demand_class", sa.String(length=32), nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("mean", sa.JSON(), nullable=False),
        sa.Column("total_sd", sa.JSON(), nullable=False),
        sa.Column("total_quantiles", sa.JSON(), nullable=False),
        sa.Column("adi", sa.Float(), nullable=True),
        sa.Column("cv2", sa.Float(), nullable=True),
        sa.Column("observed_days", sa.Integer(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "demand_class IN ('smooth', 'erratic', 'intermittent', 'lumpy', 'new', 'no_demand')",
            name=op.f("ck_forecast_demand_class_known"),
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_forecast_item_id_item")),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_forecast_location_id_location")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["forecast_run.id"], name=op.f("fk_forecast_run_id_forecast_run")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forecast")),
        sa.UniqueConstraint(
            "run_id", "item_id", "location_id", name=op.f("uq_forecast_run_id_item_id_location_id")
        ),
    )
    op.create_index(op.f("ix_forecast_item_id"), "forecast", ["item_id"], unique=False)
    op.create_index(op.f("ix_forecast_location_id"), "forecast", ["location_id"], unique=False)
    op.create_index(op.f("ix_forecast_run_id"), "forecast", ["run_id"], unique=False)

    op.create_table(
        "idempotent_request",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "principal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("request", sa.String(length=200), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("response", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["principal_id"],
            ["app_user.id"],
            name=op.f("fk_idempotent_request_principal_id_app_user"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotent_request")),
        sa.UniqueConstraint(
            "principal_id", "key", name=op.f("uq_idempotent_request_principal_id_key")
        ),
    )
    op.create_index(
        op.f("ix_idempotent_request_principal_id"),
        "idempotent_request",
        ["principal_id"],
        unique=False,
    )

    op.create_table(
        "item_alias",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("alias", sa.String(length=200), nullable=False),
        sa.Column("alias_key", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.CheckConstraint(
            "kind IN ('name', 'supplier_sku', 'barcode')", name=op.f("ck_item_alias_kind_known")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_item_alias_item_id_item")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item_alias")),
        sa.UniqueConstraint("alias_key", "item_id", name=op.f("uq_item_alias_alias_key_item_id")),
    )
    op.create_index(op.f("ix_item_alias_alias_key"), "item_alias", ["alias_key"], unique=False)
    op.create_index(op.f("ix_item_alias_item_id"), "item_alias", ["item_id"], unique=False)

    op.create_table(
        "planning_run",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "forecast_run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("as_of_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("item_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["forecast_run_id"],
            ["forecast_run.id"],
            name=op.f("fk_planning_run_forecast_run_id_forecast_run"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_planning_run")),
    )
    op.create_index(
        op.f("ix_planning_run_forecast_run_id"), "planning_run", ["forecast_run_id"], unique=False
    )

    op.create_table(
        "purchase_order",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column(
            "supplier_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "location_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("need_by_on", sa.Date(), nullable=True),
        sa.Column("promise_on", sa.Date(), nullable=True),
        sa.Column("note", sa.String(length=2000), nullable=False),
        sa.Column("thread_id", sa.String(length=64), nullable=True),
        sa.Column(
            "requested_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("idempotency_key", sa.String(length=120), nullable=True),
        sa.Column("is_imported", sa.Boolean(), nullable=False),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('draft', 'pending_approval', 'approved', 'sent', 'confirmed', 'changed', 'rejected', 'partially_received', 'received', 'closed', 'cancelled', 'short_closed')",
            name=op.f("ck_purchase_order_state_known"),
        ),
        sa.CheckConstraint(
            "length(currency) = 3 AND upper(currency) = currency",
            name=op.f("ck_purchase_order_currency_iso"),
        ),
        sa.CheckConstraint("revision >= 1", name=op.f("ck_purchase_order_revision_at_least_1")),
        sa.CheckConstraint(
            "total_minor >= 0", name=op.f("ck_purchase_order_total_minor_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_purchase_order_location_id_location")
        ),
        sa.ForeignKeyConstraint(
            ["requested_by_id"],
            ["app_user.id"],
            name=op.f("fk_purchase_order_requested_by_id_app_user"),
        ),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["supplier.id"], name=op.f("fk_purchase_order_supplier_id_supplier")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase_order")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_purchase_order_idempotency_key")),
        sa.UniqueConstraint("number", name=op.f("uq_purchase_order_number")),
    )
    op.create_index(
        op.f("ix_purchase_order_created_at"), "purchase_order", ["created_at"], unique=False
    )
    op.create_index(
        op.f("ix_purchase_order_location_id"), "purchase_order", ["location_id"], unique=False
    )
    op.create_index(
        op.f("ix_purchase_order_requested_by_id"),
        "purchase_order",
        ["requested_by_id"],
        unique=False,
    )
    op.create_index(op.f("ix_purchase_order_state"), "purchase_order", ["state"], unique=False)
    op.create_index(
        op.f("ix_purchase_order_supplier_id"), "purchase_order", ["supplier_id"], unique=False
    )
    op.create_index(
        op.f("ix_purchase_order_thread_id"), "purchase_order", ["thread_id"], unique=False
    )

    op.create_table(
        "quarantined_row",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("load_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["load_id"], ["load.id"], name=op.f("fk_quarantined_row_load_id_load")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined_row")),
    )
    op.create_index(
        "ix_quarantined_row_load_row", "quarantined_row", ["load_id", "row_number"], unique=False
    )

    op.create_table(
        "staged_row",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("load_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["load_id"], ["load.id"], name=op.f("fk_staged_row_load_id_load")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staged_row")),
    )
    op.create_index("ix_staged_row_load_row", "staged_row", ["load_id", "row_number"], unique=False)

    op.create_table(
        "stock_level",
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
        sa.Column("on_hand_units", sa.BigInteger(), nullable=False),
        sa.Column("quarantined_units", sa.BigInteger(), nullable=False),
        sa.Column("expiring_units", sa.BigInteger(), nullable=False),
        sa.Column("allocated_units", sa.BigInteger(), nullable=False),
        sa.Column("backordered_units", sa.BigInteger(), nullable=False),
        sa.Column("inbound_transfer_units", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "allocated_units >= 0", name=op.f("ck_stock_level_allocated_units_not_negative")
        ),
        sa.CheckConstraint(
            "backordered_units >= 0", name=op.f("ck_stock_level_backordered_units_not_negative")
        ),
        sa.CheckConstraint(
            "expiring_units >= 0", name=op.f("ck_stock_level_expiring_units_not_negative")
        ),
        sa.CheckConstraint(
            "inbound_transfer_units >= 0",
            name=op.f("ck_stock_level_inbound_transfer_units_not_negative"),
        ),
        sa.CheckConstraint(
            "quarantined_units >= 0", name=op.f("ck_stock_level_quarantined_units_not_negative")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_stock_level_item_id_item")),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_stock_level_location_id_location")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_level")),
        sa.UniqueConstraint(
            "item_id", "location_id", name=op.f("uq_stock_level_item_id_location_id")
        ),
    )
    op.create_index(op.f("ix_stock_level_item_id"), "stock_level", ["item_id"], unique=False)
    op.create_index(
        op.f("ix_stock_level_location_id"), "stock_level", ["location_id"], unique=False
    )

    op.create_table(
        "stock_movement",
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
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reference", sa.String(length=120), nullable=False),
        sa.CheckConstraint(
            "kind IN ('opening', 'receipt', 'issue', 'return', 'adjustment', 'transfer')",
            name=op.f("ck_stock_movement_kind_known"),
        ),
        sa.CheckConstraint("units <> 0", name=op.f("ck_stock_movement_units_not_zero")),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_stock_movement_item_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_stock_movement_location_id_location")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_movement")),
        sa.UniqueConstraint("reference", name=op.f("uq_stock_movement_reference")),
    )
    op.create_index(
        "ix_stock_movement_item_location_at",
        "stock_movement",
        ["item_id", "location_id", "occurred_at"],
        unique=False,
    )

    op.create_table(
        "supplier_item",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "supplier_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("supplier_sku", sa.String(length=64), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("moq_units", sa.BigInteger(), nullable=False),
        sa.Column("order_multiple_units", sa.BigInteger(), nullable=False),
        sa.Column("max_units", sa.BigInteger(), nullable=True),
        sa.Column("pack_uom", sa.String(length=16), nullable=False),
        sa.Column("pack_units", sa.BigInteger(), nullable=False),
        sa.Column("quoted_lead_time_days", sa.BigInteger(), nullable=False),
        sa.Column("duty_bp", sa.BigInteger(), nullable=False),
        sa.Column("order_cost_minor", sa.BigInteger(), nullable=False),
        sa.Column("is_preferred", sa.Boolean(), nullable=False),
        sa.CheckConstraint("duty_bp >= 0", name=op.f("ck_supplier_item_duty_bp_not_negative")),
        sa.CheckConstraint(
            "max_units IS NULL OR max_units >= moq_units",
            name=op.f("ck_supplier_item_max_not_below_moq"),
        ),
        sa.CheckConstraint("moq_units >= 0", name=op.f("ck_supplier_item_moq_units_not_negative")),
        sa.CheckConstraint(
            "order_cost_minor >= 0", name=op.f("ck_supplier_item_order_cost_minor_not_negative")
        ),
        sa.CheckConstraint(
            "order_multiple_units >= 1",
            name=op.f("ck_supplier_item_order_multiple_units_at_least_1"),
        ),
        sa.CheckConstraint("pack_units >= 1", name=op.f("ck_supplier_item_pack_units_at_least_1")),
        sa.CheckConstraint(
            "quoted_lead_time_days >= 0",
            name=op.f("ck_supplier_item_quoted_lead_time_days_not_negative"),
        ),
        sa.CheckConstraint(
            "unit_price_minor >= 0", name=op.f("ck_supplier_item_unit_price_minor_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_supplier_item_item_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["supplier.id"], name=op.f("fk_supplier_item_supplier_id_supplier")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supplier_item")),
        sa.UniqueConstraint(
            "supplier_id", "item_id", name=op.f("uq_supplier_item_supplier_id_item_id")
        ),
    )
    op.create_index(op.f("ix_supplier_item_item_id"), "supplier_item", ["item_id"], unique=False)
    op.create_index(
        op.f("ix_supplier_item_supplier_id"), "supplier_item", ["supplier_id"], unique=False
    )

    op.create_table(
        "thread",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_holder", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["app_user.id"], name=op.f("fk_thread_owner_id_app_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_thread")),
    )
    op.create_index(op.f("ix_thread_owner_id"), "thread", ["owner_id"], unique=False)

    op.create_table(
        "approval",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("company_total_minor", sa.BigInteger(), nullable=False),
        sa.Column("required_role", sa.String(length=16), nullable=False),
        sa.Column("rule", sa.String(length=200), nullable=False),
        sa.Column("thread_id", sa.String(length=64), nullable=True),
        sa.Column(
            "requested_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.String(length=32), nullable=True),
        sa.Column(
            "decided_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("meaning", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("consumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "decision IS NULL OR decision IN ('approve', 'edit', 'reject', 'respond')",
            name=op.f("ck_approval_decision_known"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'rejected', 'expired', 'void')",
            name=op.f("ck_approval_state_known"),
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_approval_version_at_least_1")),
        sa.ForeignKeyConstraint(
            ["decided_by_id"], ["app_user.id"], name=op.f("fk_approval_decided_by_id_app_user")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["purchase_order.id"], name=op.f("fk_approval_order_id_purchase_order")
        ),
        sa.ForeignKeyConstraint(
            ["requested_by_id"], ["app_user.id"], name=op.f("fk_approval_requested_by_id_app_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
        sa.UniqueConstraint("number", name=op.f("uq_approval_number")),
    )
    op.create_index(op.f("ix_approval_decided_by_id"), "approval", ["decided_by_id"], unique=False)
    op.create_index(op.f("ix_approval_order_id"), "approval", ["order_id"], unique=False)
    op.create_index(
        op.f("ix_approval_requested_by_id"), "approval", ["requested_by_id"], unique=False
    )
    op.create_index(op.f("ix_approval_state"), "approval", ["state"], unique=False)
    op.create_index(
        "uq_approval_one_pending",
        "approval",
        ["order_id"],
        unique=True,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )

    op.create_table(
        "policy",
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
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("service_rate", sa.Float(), nullable=False),
        sa.Column("measure", sa.String(length=32), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("review_period_days", sa.Integer(), nullable=False),
        sa.Column("cover_days", sa.Integer(), nullable=False),
        sa.Column(
            "forecast_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("demand_mean", sa.Float(), nullable=True),
        sa.Column("demand_sd", sa.Float(), nullable=True),
        sa.Column("lead_time_mean_days", sa.Float(), nullable=True),
        sa.Column("lead_time_sd_days", sa.Float(), nullable=True),
        sa.Column("lead_time_count", sa.Integer(), nullable=True),
        sa.Column("distribution", sa.String(length=20), nullable=True),
        sa.Column("sigma_ltd_units", sa.Float(), nullable=True),
        sa.Column("safety_stock_units", sa.BigInteger(), nullable=True),
        sa.Column("reorder_point_units", sa.BigInteger(), nullable=True),
        sa.Column("order_up_to_units", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "measure IN ('cycle', 'fill_rate')", name=op.f("ck_policy_measure_known")
        ),
        sa.CheckConstraint(
            "method IN ('combined', 'additive', 'demand_only', 'empirical')",
            name=op.f("ck_policy_method_known"),
        ),
        sa.CheckConstraint("cover_days >= 0", name=op.f("ck_policy_cover_days_not_negative")),
        sa.CheckConstraint(
            "review_period_days >= 0", name=op.f("ck_policy_review_period_days_not_negative")
        ),
        sa.CheckConstraint(
            "service_rate > 0 AND service_rate < 1", name=op.f("ck_policy_service_rate_in_range")
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_policy_version_at_least_1")),
        sa.ForeignKeyConstraint(
            ["forecast_id"], ["forecast.id"], name=op.f("fk_policy_forecast_id_forecast")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_policy_item_id_item")),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_policy_location_id_location")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy")),
        sa.UniqueConstraint("item_id", "location_id", name=op.f("uq_policy_item_id_location_id")),
    )
    op.create_index(op.f("ix_policy_forecast_id"), "policy", ["forecast_id"], unique=False)
    op.create_index(op.f("ix_policy_item_id"), "policy", ["item_id"], unique=False)
    op.create_index(op.f("ix_policy_location_id"), "policy", ["location_id"], unique=False)

    op.create_table(
        "price_break",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "supplier_item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("min_units", sa.BigInteger(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("min_units >= 1", name=op.f("ck_price_break_min_units_at_least_1")),
        sa.CheckConstraint(
            "unit_price_minor >= 0", name=op.f("ck_price_break_unit_price_minor_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["supplier_item_id"],
            ["supplier_item.id"],
            name=op.f("fk_price_break_supplier_item_id_supplier_item"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_break")),
        sa.UniqueConstraint(
            "supplier_item_id", "min_units", name=op.f("uq_price_break_supplier_item_id_min_units")
        ),
    )
    op.create_index(
        op.f("ix_price_break_supplier_item_id"), "price_break", ["supplier_item_id"], unique=False
    )

    op.create_table(
        "purchase_order_revision",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("checks", sa.JSON(), nullable=False),
        sa.Column(
            "created_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by_id"],
            ["app_user.id"],
            name=op.f("fk_purchase_order_revision_created_by_id_app_user"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["purchase_order.id"],
            name=op.f("fk_purchase_order_revision_order_id_purchase_order"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase_order_revision")),
        sa.UniqueConstraint(
            "order_id", "revision", name=op.f("uq_purchase_order_revision_order_id_revision")
        ),
    )
    op.create_index(
        op.f("ix_purchase_order_revision_created_by_id"),
        "purchase_order_revision",
        ["created_by_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_purchase_order_revision_order_id"),
        "purchase_order_revision",
        ["order_id"],
        unique=False,
    )

    op.create_table(
        "run",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("thread_id", sa.String(length=64), nullable=False),
        sa.Column("actor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("input", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_run_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["app_user.id"], name=op.f("fk_run_actor_id_app_user")
        ),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_run_thread_id_thread")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index(op.f("ix_run_actor_id"), "run", ["actor_id"], unique=False)
    op.create_index(op.f("ix_run_state"), "run", ["state"], unique=False)
    op.create_index(op.f("ix_run_thread_id"), "run", ["thread_id"], unique=False)

    op.create_table(
        "shipment",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("carrier", sa.String(length=64), nullable=False),
        sa.Column("tracking", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("eta_on", sa.Date(), nullable=True),
        sa.Column("eta_source", sa.String(length=32), nullable=False),
        sa.Column("shipped_units", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'info_received', 'in_transit', 'out_for_delivery', 'available_for_pickup', 'attempt_fail', 'exception', 'delivered', 'expired', 'unknown')",
            name=op.f("ck_shipment_status_known"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["purchase_order.id"], name=op.f("fk_shipment_order_id_purchase_order")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shipment")),
        sa.UniqueConstraint("number", name=op.f("uq_shipment_number")),
    )
    op.create_index(op.f("ix_shipment_order_id"), "shipment", ["order_id"], unique=False)
    op.create_index(op.f("ix_shipment_tracking"), "shipment", ["tracking"], unique=False)

    op.create_table(
        "message",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("thread_id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("client_key", sa.String(length=120), nullable=True),
        sa.Column("author_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "role IN ('user', 'assistant', 'notice')", name=op.f("ck_message_role_known")
        ),
        sa.ForeignKeyConstraint(
            ["author_id"], ["app_user.id"], name=op.f("fk_message_author_id_app_user")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_message_run_id_run")),
        sa.ForeignKeyConstraint(
            ["thread_id"], ["thread.id"], name=op.f("fk_message_thread_id_thread")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint(
            "thread_id", "client_key", name=op.f("uq_message_thread_id_client_key")
        ),
    )
    op.create_index(op.f("ix_message_author_id"), "message", ["author_id"], unique=False)
    op.create_index(op.f("ix_message_run_id"), "message", ["run_id"], unique=False)
    op.create_index(op.f("ix_message_thread_id"), "message", ["thread_id"], unique=False)

    op.create_table(
        "outbox",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column(
            "approval_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_holder", sa.String(length=64), nullable=False),
        sa.Column("last_error", sa.String(length=500), nullable=False),
        sa.Column("delivery_reference", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'claimed', 'delivered', 'in_doubt', 'dead', 'cancelled')",
            name=op.f("ck_outbox_state_known"),
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_outbox_attempts_not_negative")),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approval.id"], name=op.f("fk_outbox_approval_id_approval")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["purchase_order.id"], name=op.f("fk_outbox_order_id_purchase_order")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_key")),
        sa.UniqueConstraint(
            "order_id", "kind", "revision", name=op.f("uq_outbox_order_id_kind_revision")
        ),
    )
    op.create_index(op.f("ix_outbox_approval_id"), "outbox", ["approval_id"], unique=False)
    op.create_index(op.f("ix_outbox_next_attempt_at"), "outbox", ["next_attempt_at"], unique=False)
    op.create_index(op.f("ix_outbox_order_id"), "outbox", ["order_id"], unique=False)
    op.create_index(op.f("ix_outbox_state"), "outbox", ["state"], unique=False)

    op.create_table(
        "recommendation",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "location_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "policy_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "supplier_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("order_units", sa.BigInteger(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("need_by_on", sa.Date(), nullable=True),
        sa.Column("latest_order_on", sa.Date(), nullable=True),
        sa.Column("projected_stockout_on", sa.Date(), nullable=True),
        sa.Column("inventory_position_units", sa.BigInteger(), nullable=False),
        sa.Column("reorder_point_units", sa.BigInteger(), nullable=False),
        sa.Column("days_of_cover", sa.Float(), nullable=True),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("value_at_risk_minor", sa.BigInteger(), nullable=False),
        sa.Column("waterfall", sa.JSON(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "action IN ('buy', 'expedite', 'transfer', 'none')",
            name=op.f("ck_recommendation_action_known"),
        ),
        sa.CheckConstraint(
            "amount_minor >= 0", name=op.f("ck_recommendation_amount_minor_not_negative")
        ),
        sa.CheckConstraint(
            "length(currency) = 3 AND upper(currency) = currency",
            name=op.f("ck_recommendation_currency_iso"),
        ),
        sa.CheckConstraint(
            "order_units >= 0", name=op.f("ck_recommendation_order_units_not_negative")
        ),
        sa.CheckConstraint(
            "unit_price_minor >= 0", name=op.f("ck_recommendation_unit_price_minor_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_recommendation_item_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_recommendation_location_id_location")
        ),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policy.id"], name=op.f("fk_recommendation_policy_id_policy")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["planning_run.id"], name=op.f("fk_recommendation_run_id_planning_run")
        ),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["supplier.id"], name=op.f("fk_recommendation_supplier_id_supplier")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recommendation")),
        sa.UniqueConstraint(
            "run_id",
            "item_id",
            "location_id",
            name=op.f("uq_recommendation_run_id_item_id_location_id"),
        ),
    )
    op.create_index(op.f("ix_recommendation_action"), "recommendation", ["action"], unique=False)
    op.create_index(op.f("ix_recommendation_item_id"), "recommendation", ["item_id"], unique=False)
    op.create_index(
        op.f("ix_recommendation_location_id"), "recommendation", ["location_id"], unique=False
    )
    op.create_index(
        op.f("ix_recommendation_policy_id"), "recommendation", ["policy_id"], unique=False
    )
    op.create_index(op.f("ix_recommendation_run_id"), "recommendation", ["run_id"], unique=False)
    op.create_index(
        op.f("ix_recommendation_supplier_id"), "recommendation", ["supplier_id"], unique=False
    )

    op.create_table(
        "run_event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_event_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_event")),
    )
    op.create_index(op.f("ix_run_event_run_id"), "run_event", ["run_id"], unique=False)

    op.create_table(
        "shipment_event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "shipment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("source_event_id", sa.String(length=120), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("place", sa.String(length=120), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'info_received', 'in_transit', 'out_for_delivery', 'available_for_pickup', 'attempt_fail', 'exception', 'delivered', 'expired', 'unknown')",
            name=op.f("ck_shipment_event_status_known"),
        ),
        sa.ForeignKeyConstraint(
            ["shipment_id"], ["shipment.id"], name=op.f("fk_shipment_event_shipment_id_shipment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shipment_event")),
        sa.UniqueConstraint("source_event_id", name=op.f("uq_shipment_event_source_event_id")),
    )
    op.create_index(
        op.f("ix_shipment_event_shipment_id"), "shipment_event", ["shipment_id"], unique=False
    )

    op.create_table(
        "tool_result",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("thread_id", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("tool", sa.String(length=64), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_tool_result_run_id_run")),
        sa.ForeignKeyConstraint(
            ["thread_id"], ["thread.id"], name=op.f("fk_tool_result_thread_id_thread")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tool_result")),
    )
    op.create_index(op.f("ix_tool_result_run_id"), "tool_result", ["run_id"], unique=False)
    op.create_index(op.f("ix_tool_result_thread_id"), "tool_result", ["thread_id"], unique=False)

    op.create_table(
        "purchase_order_line",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("ordered_units", sa.BigInteger(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("received_units", sa.BigInteger(), nullable=False),
        sa.Column("short_closed_units", sa.BigInteger(), nullable=False),
        sa.Column("promise_on", sa.Date(), nullable=True),
        sa.Column(
            "recommendation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.CheckConstraint(
            "amount_minor = ordered_units * unit_price_minor",
            name=op.f("ck_purchase_order_line_amount_is_product"),
        ),
        sa.CheckConstraint(
            "ordered_units >= 1", name=op.f("ck_purchase_order_line_ordered_units_at_least_1")
        ),
        sa.CheckConstraint(
            "received_units >= 0", name=op.f("ck_purchase_order_line_received_units_not_negative")
        ),
        sa.CheckConstraint(
            "short_closed_units >= 0",
            name=op.f("ck_purchase_order_line_short_closed_units_not_negative"),
        ),
        sa.CheckConstraint(
            "unit_price_minor >= 0",
            name=op.f("ck_purchase_order_line_unit_price_minor_not_negative"),
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_purchase_order_line_item_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["purchase_order.id"],
            name=op.f("fk_purchase_order_line_order_id_purchase_order"),
        ),
        sa.ForeignKeyConstraint(
            ["recommendation_id"],
            ["recommendation.id"],
            name=op.f("fk_purchase_order_line_recommendation_id_recommendation"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase_order_line")),
        sa.UniqueConstraint(
            "order_id", "line_number", name=op.f("uq_purchase_order_line_order_id_line_number")
        ),
    )
    op.create_index(
        op.f("ix_purchase_order_line_item_id"), "purchase_order_line", ["item_id"], unique=False
    )
    op.create_index(
        op.f("ix_purchase_order_line_order_id"), "purchase_order_line", ["order_id"], unique=False
    )
    op.create_index(
        op.f("ix_purchase_order_line_recommendation_id"),
        "purchase_order_line",
        ["recommendation_id"],
        unique=False,
    )

    op.create_table(
        "receipt",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("reference", sa.String(length=120), nullable=False),
        sa.Column(
            "supplier_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "order_line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("ordered_on", sa.Date(), nullable=False),
        sa.Column("promised_on", sa.Date(), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("ordered_units", sa.BigInteger(), nullable=False),
        sa.Column("received_units", sa.BigInteger(), nullable=False),
        sa.Column("rejected_units", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "ordered_units >= 0", name=op.f("ck_receipt_ordered_units_not_negative")
        ),
        sa.CheckConstraint(
            "received_units >= 0", name=op.f("ck_receipt_received_units_not_negative")
        ),
        sa.CheckConstraint(
            "rejected_units >= 0", name=op.f("ck_receipt_rejected_units_not_negative")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_receipt_item_id_item")),
        sa.ForeignKeyConstraint(
            ["order_line_id"],
            ["purchase_order_line.id"],
            name=op.f("fk_receipt_order_line_id_purchase_order_line"),
        ),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["supplier.id"], name=op.f("fk_receipt_supplier_id_supplier")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt")),
        sa.UniqueConstraint("reference", name=op.f("uq_receipt_reference")),
    )
    op.create_index(op.f("ix_receipt_item_id"), "receipt", ["item_id"], unique=False)
    op.create_index(op.f("ix_receipt_order_line_id"), "receipt", ["order_line_id"], unique=False)
    op.create_index(op.f("ix_receipt_supplier_id"), "receipt", ["supplier_id"], unique=False)
    for statement in append_only_statements(op.get_bind().dialect.name, FIRST_APPEND_ONLY):
        op.execute(sa.text(statement))


def downgrade() -> None:
    raise NotImplementedError("the first schema has nothing before it")
