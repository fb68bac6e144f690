"""sessions, scopes, policy, signatures, supplier answers, inbound messages, audit context"""

import sqlalchemy as sa
from alembic import op

from db.schema import SECOND_APPEND_ONLY, append_only_statements

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# What was approved before signatures had a table of their own.
_SIGNATURES = """
    INSERT INTO approval_signature (approval_id, user_id, printed_name, signed_at, meaning, reason,
                                    channel, fingerprint, is_reauthenticated)
    SELECT approval.id, app_user.id, app_user.name, approval.decided_at, approval.meaning,
           approval.reason, approval.channel, approval.fingerprint, FALSE
    FROM approval JOIN app_user ON app_user.id = approval.decided_by_id
    WHERE approval.decision = 'approve' AND approval.decided_at IS NOT NULL
    ORDER BY approval.id
"""


def upgrade() -> None:
    """Only new tables and new columns: nothing is rebuilt, so no trigger or row can get lost."""
    op.create_table(
        "inbound_event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('received', 'applied', 'refused', 'failed')",
            name=op.f("ck_inbound_event_state_known"),
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_inbound_event_attempts_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_event")),
        sa.UniqueConstraint("source", "event_id", name=op.f("uq_inbound_event_source_event_id")),
    )
    op.create_index(
        op.f("ix_inbound_event_next_attempt_at"), "inbound_event", ["next_attempt_at"], unique=False
    )
    op.create_index(op.f("ix_inbound_event_state"), "inbound_event", ["state"], unique=False)
    op.create_table(
        "external_identity",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("issuer", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["app_user.id"], name=op.f("fk_external_identity_user_id_app_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_external_identity")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_external_identity_issuer_subject")),
    )
    op.create_index(
        op.f("ix_external_identity_user_id"), "external_identity", ["user_id"], unique=False
    )
    op.create_table(
        "policy_version",
        sa.Column(
            "version",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column(
            "created_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by_id"],
            ["app_user.id"],
            name=op.f("fk_policy_version_created_by_id_app_user"),
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policy_version")),
    )
    op.create_index(
        op.f("ix_policy_version_created_by_id"), "policy_version", ["created_by_id"], unique=False
    )
    op.create_table(
        "user_scope",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "kind IN ('location', 'supplier', 'category')", name=op.f("ck_user_scope_kind_known")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["app_user.id"], name=op.f("fk_user_scope_user_id_app_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_scope")),
        sa.UniqueConstraint(
            "user_id", "kind", "value", name=op.f("uq_user_scope_user_id_kind_value")
        ),
    )
    op.create_index(op.f("ix_user_scope_user_id"), "user_scope", ["user_id"], unique=False)
    op.create_table(
        "user_session",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reauthenticated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["app_user.id"], name=op.f("fk_user_session_user_id_app_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_user_session_token_hash")),
    )
    op.create_index(
        op.f("ix_user_session_expires_at"), "user_session", ["expires_at"], unique=False
    )
    op.create_index(op.f("ix_user_session_user_id"), "user_session", ["user_id"], unique=False)
    op.create_table(
        "supplier_answer",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column(
            "recorded_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "decided_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("result_revision", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('proposed', 'accepted', 'declined', 'void')",
            name=op.f("ck_supplier_answer_state_known"),
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_supplier_answer_version_at_least_1")),
        sa.ForeignKeyConstraint(
            ["decided_by_id"],
            ["app_user.id"],
            name=op.f("fk_supplier_answer_decided_by_id_app_user"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["purchase_order.id"],
            name=op.f("fk_supplier_answer_order_id_purchase_order"),
        ),
        sa.ForeignKeyConstraint(
            ["recorded_by_id"],
            ["app_user.id"],
            name=op.f("fk_supplier_answer_recorded_by_id_app_user"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supplier_answer")),
        sa.UniqueConstraint("number", name=op.f("uq_supplier_answer_number")),
    )
    op.create_index(
        op.f("ix_supplier_answer_decided_by_id"), "supplier_answer", ["decided_by_id"], unique=False
    )
    op.create_index(
        op.f("ix_supplier_answer_order_id"), "supplier_answer", ["order_id"], unique=False
    )
    op.create_index(
        op.f("ix_supplier_answer_recorded_by_id"),
        "supplier_answer",
        ["recorded_by_id"],
        unique=False,
    )
    op.create_index(op.f("ix_supplier_answer_state"), "supplier_answer", ["state"], unique=False)
    op.create_table(
        "approval_signature",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "approval_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("printed_name", sa.String(length=120), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("meaning", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("is_reauthenticated", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["approval_id"],
            ["approval.id"],
            name=op.f("fk_approval_signature_approval_id_approval"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["app_user.id"], name=op.f("fk_approval_signature_user_id_app_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_signature")),
        sa.UniqueConstraint(
            "approval_id", "user_id", name=op.f("uq_approval_signature_approval_id_user_id")
        ),
    )
    op.create_index(
        op.f("ix_approval_signature_approval_id"),
        "approval_signature",
        ["approval_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_approval_signature_user_id"), "approval_signature", ["user_id"], unique=False
    )
    op.create_table(
        "line_promise",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "order_line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("promise_on", sa.Date(), nullable=False),
        sa.CheckConstraint("units >= 1", name=op.f("ck_line_promise_units_at_least_1")),
        sa.ForeignKeyConstraint(
            ["order_line_id"],
            ["purchase_order_line.id"],
            name=op.f("fk_line_promise_order_line_id_purchase_order_line"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_line_promise")),
        sa.UniqueConstraint(
            "order_line_id", "promise_on", name=op.f("uq_line_promise_order_line_id_promise_on")
        ),
    )
    op.create_index(
        op.f("ix_line_promise_order_line_id"), "line_promise", ["order_line_id"], unique=False
    )
    op.add_column("api_key", sa.Column("scopes", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column(
        "app_user",
        sa.Column("password_hash", sa.String(length=200), nullable=False, server_default=""),
    )
    op.add_column(
        "app_user", sa.Column("password_set_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "app_user", sa.Column("failed_logins", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("app_user", sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "approval",
        sa.Column("required_signatures", sa.Integer(), nullable=False, server_default="1"),
    )
    op.add_column(
        "approval",
        sa.Column(
            "needs_reauthentication", sa.Boolean(), nullable=False, server_default=sa.false()
        ),
    )
    op.add_column("approval", sa.Column("policy_version", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_approval_consumed_at"), "approval", ["consumed_at"], unique=False)
    op.add_column("audit_event", sa.Column("context", sa.JSON(), nullable=True))
    op.add_column(
        "item",
        sa.Column("signature_required", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column(
        "receipt", sa.Column("kind", sa.String(length=32), nullable=False, server_default="receipt")
    )
    op.add_column(
        "receipt", sa.Column("reason", sa.String(length=500), nullable=False, server_default="")
    )
    op.add_column(
        "receipt", sa.Column("recorded_by", sa.String(length=64), nullable=False, server_default="")
    )
    op.add_column(
        "supplier",
        sa.Column("delivery_channel", sa.String(length=32), nullable=False, server_default="file"),
    )
    op.add_column(
        "supplier",
        sa.Column("delivery_address", sa.String(length=300), nullable=False, server_default=""),
    )
    op.add_column(
        "supplier",
        sa.Column("delivery_format", sa.String(length=32), nullable=False, server_default="json"),
    )
    op.execute(sa.text(_SIGNATURES))
    for statement in append_only_statements(op.get_bind().dialect.name, SECOND_APPEND_ONLY):
        op.execute(sa.text(statement))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring the backup that was made before the upgrade")
