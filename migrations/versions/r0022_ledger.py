"""The ledger of what every slot of every site came to, and when jobs ran at which point."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0022"
down_revision = "r0023"
branch_labels = None
depends_on = None

_ENERGY = (
    "bought_kwh",
    "sold_kwh",
    "generated_kwh",
    "curtailed_kwh",
    "charged_kwh",
    "discharged_kwh",
    "jobs_kwh",
    "idle_kwh",
    "overhead_kwh",
    "base_load_kwh",
    "unexplained_kwh",
)
_MONEY = ("energy_eur", "network_eur", "sold_eur", "generation_eur", "storage_wear_eur")


def upgrade() -> None:
    _add_runs()
    _add_entries()
    _add_shares()
    _add_looks()


def _add_entries() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("reckoned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fleet_version", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=False) for name in (*_ENERGY, *_MONEY)),
        sa.Column("pue", sa.Double(), nullable=False),
        sa.Column("price_eur_per_mwh", sa.Double(), nullable=False),
        sa.Column("carbon_intensity", sa.String(), nullable=False),
        sa.Column("carbon_g_per_kwh", sa.Double(), nullable=False),
        sa.Column("marginal_g_per_kwh", sa.Double(), nullable=True),
        sa.Column("carbon_kg", sa.Double(), nullable=False),
        sa.Column("marginal_kg", sa.Double(), nullable=True),
        sa.Column("measured", sa.JSON(), nullable=False),
        sa.Column("estimated", sa.JSON(), nullable=False),
        sa.Column("expected", sa.JSON(), nullable=False),
        sa.Column("previous_hash", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.CheckConstraint("minutes > 0", name=op.f("ck_ledger_entry_minutes_positive")),
        sa.CheckConstraint("revision >= 0", name=op.f("ck_ledger_entry_revision_nonnegative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entry")),
        sa.UniqueConstraint("site", "seq", name=op.f("uq_ledger_entry_site_seq")),
        sa.UniqueConstraint(
            "site", "start_at", "revision", name=op.f("uq_ledger_entry_site_start_at_revision")
        ),
    )


def _add_shares() -> None:
    op.create_table(
        "ledger_share",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("basis", sa.String(length=40), nullable=False),
        sa.Column("kwh", sa.Double(), nullable=False),
        sa.Column("it_kwh", sa.Double(), nullable=False),
        sa.Column("gpu_hours", sa.Double(), nullable=False),
        sa.Column("eur", sa.Double(), nullable=False),
        sa.Column("carbon_kg", sa.Double(), nullable=False),
        sa.Column("marginal_kg", sa.Double(), nullable=True),
        sa.Column("embodied_kg", sa.Double(), nullable=True),
        sa.Column("tokens", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["ledger_entry.id"], name=op.f("fk_ledger_share_entry_id_ledger_entry")
        ),
        sa.PrimaryKeyConstraint("entry_id", "position", name=op.f("pk_ledger_share")),
    )


def _add_looks() -> None:
    op.create_table(
        "ledger_site",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("open_from", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("site", name=op.f("pk_ledger_site")),
    )
    op.create_table(
        "ledger_day",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("day_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("site", "day_at", name=op.f("pk_ledger_day")),
    )


def _add_runs() -> None:
    op.create_table(
        "job_run",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("point", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("ended_at >= began_at", name=op.f("ck_job_run_ends_after_begin")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_run_job_id_job")),
        sa.PrimaryKeyConstraint("job_id", "began_at", name=op.f("pk_job_run")),
    )
    op.create_index("ix_job_run_ended", "job_run", ["site", "ended_at"])
    # What runs now goes on as a run; what is over is before the ledger begins.
    op.execute(
        "INSERT INTO job_run (job_id, began_at, start, site, point)"
        " SELECT id, work_seen_at, starts, site, point FROM job"
        " WHERE status = 'running' AND site IS NOT NULL AND work_seen_at IS NOT NULL"
    )


def downgrade() -> None:
    for table in ("ledger_day", "ledger_site", "ledger_share", "ledger_entry"):
        op.drop_table(table)
    op.drop_index("ix_job_run_ended", table_name="job_run")
    op.drop_table("job_run")
