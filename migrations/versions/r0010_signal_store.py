# ruff: noqa: S608 - every word of its statements stands in this file
"""Values of signals in a third of the room; what is known of each signal; flags and verdicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "r0010"
down_revision = "r0009"
branch_labels = None
depends_on = None

_KEY = ("site", "kind", "start_at", "known_at")
_REST = ("minutes", "value", "source")


def upgrade() -> None:
    if _is_sqlite():
        _rebuild_values(sa.BigInteger(), _as_microseconds, sqlite_with_rowid=False)
    else:
        op.drop_index("ix_signal_value_known", "signal_value")
    with op.batch_alter_table("plan") as plan:
        plan.add_column(sa.Column("inputs_known_at", sa.DateTime(timezone=True), nullable=True))
    _create_series()
    _create_flags()


def downgrade() -> None:
    op.drop_table("signal_verdict")
    op.drop_table("signal_flag")
    op.drop_table("signal_series")
    with op.batch_alter_table("plan") as plan:
        plan.drop_column("inputs_known_at")
    if _is_sqlite():
        _rebuild_values(sa.DateTime(timezone=True), _as_text)
    op.create_index("ix_signal_value_known", "signal_value", ["known_at"])


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _instant() -> sa.types.TypeEngine[Any]:
    """Type of an instant in a table of many rows."""
    return sa.BigInteger() if _is_sqlite() else sa.DateTime(timezone=True)


def _rebuild_values(
    instant: sa.types.TypeEngine[Any], converted: Callable[[str], str], **options: bool
) -> None:
    """Copy the values to a table of another layout, in one pass in the order of their key."""
    op.create_table(
        "signal_value_new",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("start_at", instant, nullable=False),
        sa.Column("known_at", instant, nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.CheckConstraint("minutes > 0", name=op.f("ck_signal_value_minutes_positive")),
        sa.PrimaryKeyConstraint(*_KEY, name=op.f("pk_signal_value")),
        **options,
    )
    instants = ", ".join(converted(name) for name in ("start_at", "known_at"))
    columns = ", ".join((*_KEY, *_REST))
    rest = ", ".join(_REST)
    op.execute(
        f"INSERT INTO signal_value_new ({columns}) SELECT site, kind, {instants}, {rest}"
        " FROM signal_value ORDER BY site, kind, start_at, known_at"
    )
    op.drop_table("signal_value")
    op.rename_table("signal_value_new", "signal_value")


def _as_microseconds(name: str) -> str:
    seconds = f"CAST(strftime('%s', substr({name}, 1, 19)) AS INTEGER)"
    return f"{seconds} * 1000000 + CAST(substr({name}, 21, 6) AS INTEGER)"


def _as_text(name: str) -> str:
    seconds = f"strftime('%Y-%m-%d %H:%M:%S', {name} / 1000000, 'unixepoch')"
    return f"{seconds} || printf('.%06d', {name} % 1000000)"


def _create_series() -> None:
    op.create_table(
        "signal_series",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("n_intervals", sa.Integer(), nullable=False),
        sa.Column("first_start_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_end_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("newest_known_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("examined_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("n_intervals >= 0", name=op.f("ck_signal_series_intervals_nonnegative")),
        sa.PrimaryKeyConstraint("site", "kind", name=op.f("pk_signal_series")),
    )
    first, last, newest = "min(start_at)", "max(end_at)", "max(known_at)"
    end = "start_at + minutes * interval '1 minute'"
    if _is_sqlite():
        end = "start_at + minutes * 60000000"
        first, last, newest = (_as_text(what) for what in (first, last, newest))
    # What is there was uploaded and looked at by people: it is not examined anew.
    each = f"SELECT site, kind, start_at, known_at, {end} AS end_at FROM signal_value"
    op.execute(
        "INSERT INTO signal_series"
        " (site, kind, n_intervals, first_start_at, last_end_at, newest_known_at, examined_at)"
        f" SELECT site, kind, count(DISTINCT start_at), {first}, {last}, {newest}, {newest}"
        f" FROM ({each}) AS every GROUP BY site, kind"
    )


def _create_flags() -> None:
    op.create_table(
        "signal_flag",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("start_at", _instant(), nullable=False),
        sa.Column("end_at", _instant(), nullable=False),
        sa.Column("known_from", _instant(), nullable=False),
        sa.Column("known_to", _instant(), nullable=False),
        sa.Column("rule", sa.String(40), nullable=False),
        sa.Column("n_values", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("flagged_at", _instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal_flag")),
    )
    op.create_index("ix_signal_flag_end", "signal_flag", ["end_at"])
    op.create_table(
        "signal_verdict",
        sa.Column("flag_id", sa.Uuid(), nullable=False),
        sa.Column("decided_at", _instant(), nullable=False),
        sa.Column("verdict", sa.String(40), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["flag_id"], ["signal_flag.id"], name=op.f("fk_signal_verdict_flag_id_signal_flag")
        ),
        sa.PrimaryKeyConstraint("flag_id", "decided_at", name=op.f("pk_signal_verdict")),
    )
