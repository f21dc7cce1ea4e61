"""First tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_api_key()
    _create_cluster_identity()
    _create_fleet_version()
    _create_grid_event()
    _create_job()
    _create_planning_run()
    _create_signal_value()
    _create_plan()
    _create_dispatch_command()


def downgrade() -> None:
    op.drop_table("dispatch_command")
    op.drop_table("plan")
    op.drop_table("signal_value")
    op.drop_table("planning_run")
    op.drop_table("job")
    op.drop_table("grid_event")
    op.drop_table("fleet_version")
    op.drop_table("cluster_identity")
    op.drop_table("api_key")


def _create_api_key() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
        sa.UniqueConstraint("digest", name="uq_api_key_digest"),
        sa.UniqueConstraint("name", name="uq_api_key_name"),
    )


def _create_cluster_identity() -> None:
    op.create_table(
        "cluster_identity",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("site", name="pk_cluster_identity"),
    )


def _create_fleet_version() -> None:
    op.create_table(
        "fleet_version",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_fleet_version"),
    )


def _create_grid_event() -> None:
    op.create_table(
        "grid_event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("limit_kw", sa.Double(), nullable=False),
        sa.Column("breach_eur_per_kwh", sa.Double(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_from", sa.String(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reported_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("end_at > start_at", name="ck_grid_event_ends_after_start"),
        sa.CheckConstraint("limit_kw >= 0", name="ck_grid_event_limit_nonnegative"),
        sa.PrimaryKeyConstraint("id", name="pk_grid_event"),
        sa.UniqueConstraint("external_id", name="uq_grid_event_external_id"),
    )


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("submitted_by", sa.String(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("release_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("site", sa.String(), nullable=True),
        sa.Column("point", sa.String(), nullable=True),
        sa.Column("starts", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("work_done_hours", sa.Double(), nullable=False),
        sa.Column("work_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("work_done_hours >= 0", name="ck_job_work_done_nonnegative"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("name", name="uq_job_name"),
        sa.UniqueConstraint(
            "submitted_by", "idempotency_key", name="uq_job_submitted_by_idempotency_key"
        ),
    )
    op.create_index("ix_job_submitted", "job", ["submitted_at", "id"])
    op.create_index("ix_job_status", "job", ["status", "submitted_at"])
    op.create_index("ix_job_tenant", "job", ["tenant", "submitted_at"])


def _create_planning_run() -> None:
    op.create_table(
        "planning_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("trigger_key", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hours", sa.Integer(), nullable=False),
        sa.Column("time_limit_s", sa.Double(), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("progress", sa.JSON(), nullable=True),
        sa.Column("plan_id", sa.Uuid(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.CheckConstraint("attempts >= 0", name="ck_planning_run_attempts_nonnegative"),
        sa.PrimaryKeyConstraint("id", name="pk_planning_run"),
        sa.UniqueConstraint("trigger_key", name="uq_planning_run_trigger_key"),
    )
    op.create_index("ix_planning_run_queue", "planning_run", ["status", "queued_at"])


def _create_signal_value() -> None:
    op.create_table(
        "signal_value",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.CheckConstraint("minutes > 0", name="ck_signal_value_minutes_positive"),
        sa.PrimaryKeyConstraint("site", "kind", "start_at", "known_at", name="pk_signal_value"),
    )
    op.create_index("ix_signal_value_known", "signal_value", ["known_at"])


def _create_plan() -> None:
    op.create_table(
        "plan",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("fleet_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("slot_minutes", sa.Integer(), nullable=False),
        sa.Column("n_slots", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_note", sa.String(), nullable=False),
        sa.Column("rung", sa.String(), nullable=False),
        sa.Column("objective_eur", sa.Double(), nullable=False),
        sa.Column("bound_eur", sa.Double(), nullable=True),
        sa.Column("money_eur", sa.Double(), nullable=False),
        sa.Column("carbon_kg", sa.Double(), nullable=False),
        sa.Column("baseline_money_eur", sa.Double(), nullable=False),
        sa.Column("baseline_carbon_kg", sa.Double(), nullable=False),
        sa.Column("n_violations", sa.Integer(), nullable=False),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.Column("breaches", sa.JSON(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["fleet_version"], ["fleet_version.id"], name="fk_plan_fleet_version_fleet_version"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["planning_run.id"], name="fk_plan_run_id_planning_run"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_plan"),
        sa.UniqueConstraint("run_id", name="uq_plan_run_id"),
    )
    op.create_index("ix_plan_created", "plan", ["created_at", "id"])
    op.create_index(
        "uq_plan_in_force",
        "plan",
        ["status"],
        unique=True,
        sqlite_where=sa.text("status = 'in_force'"),
        postgresql_where=sa.text("status = 'in_force'"),
    )


def _create_dispatch_command() -> None:
    op.create_table(
        "dispatch_command",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_dispatch_command_job_id_job"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_dispatch_command_plan_id_plan"),
        sa.PrimaryKeyConstraint("id", name="pk_dispatch_command"),
    )
    op.create_index("ix_dispatch_command_job_id", "dispatch_command", ["job_id"])
    op.create_index("ix_dispatch_command_recent", "dispatch_command", ["decided_at"])
