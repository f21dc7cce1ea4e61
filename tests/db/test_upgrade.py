"""The migrated schema is the one the models mean, and upgrading is safe to repeat."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, Engine, inspect, select, text

import migrations
from scheduler.db.models import Base, SignalSeries, SignalValue
from scheduler.db.session import make_engine, make_session_factory
from scheduler.db.upgrade import DatabaseTooNew, schema_state, upgrade


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    return config


def test_models_and_migrated_schema_agree(engine: Engine) -> None:
    """Nothing is left for a new revision to add, on either database."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_every_constraint_has_a_name(engine: Engine) -> None:
    """A nameless constraint cannot be changed later on SQLite."""
    inspector = inspect(engine)
    for table in Base.metadata.tables:
        found = [
            inspector.get_pk_constraint(table),
            *inspector.get_unique_constraints(table),
            *inspector.get_foreign_keys(table),
            *inspector.get_check_constraints(table),
        ]
        assert all(constraint["name"] for constraint in found), table


# The first revision has shipped; its checks got their table's prefix twice, and stay so.
_SHIPPED_CHECKS = {
    "ck_grid_event_ck_grid_event_ends_after_start": "ck_grid_event_ends_after_start",
    "ck_grid_event_ck_grid_event_limit_nonnegative": "ck_grid_event_limit_nonnegative",
    "ck_job_ck_job_work_done_nonnegative": "ck_job_work_done_nonnegative",
    "ck_planning_run_ck_planning_run_attempts_nonnegative": (
        "ck_planning_run_attempts_nonnegative"
    ),
    "ck_signal_value_ck_signal_value_minutes_positive": "ck_signal_value_minutes_positive",
}


def test_checks_are_called_as_in_the_models(engine: Engine) -> None:
    """A later revision that changes one finds it by that name; autogenerate compares none."""
    inspector = inspect(engine)
    for name, table in Base.metadata.tables.items():
        found = [str(check["name"]) for check in inspector.get_check_constraints(name)]
        meant = {str(each.name) for each in table.constraints if isinstance(each, CheckConstraint)}
        assert {_SHIPPED_CHECKS.get(check, check) for check in found} == meant, name


def test_schema_state_tells_current_from_empty(engine: Engine, tmp_path: Path) -> None:
    """A migrated database is current; a fresh file is not."""
    with engine.connect() as connection:
        assert schema_state(connection).is_current
    empty = make_engine(f"sqlite:///{tmp_path}/empty.db")
    with empty.connect() as connection:
        state = schema_state(connection)
    empty.dispose()
    assert state.current is None
    assert not state.is_current


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    """Every program upgrades when it starts."""
    upgrade(database_url)


def test_processes_starting_at_once_upgrade_once(tmp_path: Path) -> None:
    """API, worker and clock may all find an empty database."""
    url = f"sqlite:///{tmp_path}/shared.db"
    with ThreadPoolExecutor(4) as pool:
        for finished in [pool.submit(upgrade, url) for _ in range(4)]:
            finished.result()
    engine = make_engine(url)
    with engine.connect() as connection:
        assert schema_state(connection).is_current
    engine.dispose()


def test_newer_database_is_refused_by_name(database_url: str, engine: Engine) -> None:
    """An old program must not write into a schema it does not know."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'r9999'"))
    with engine.connect() as connection:
        newest = ScriptDirectory.from_config(_config(connection)).get_current_head()
    with pytest.raises(DatabaseTooNew, match=rf"revision 'r9999' is unknown .* up to '{newest}'"):
        upgrade(database_url)


def test_what_was_done_before_checkpoints_were_judged_counts_as_saved(tmp_path: Path) -> None:
    """Nobody said otherwise; what a first run has done so far is not saved yet."""
    engine = make_engine(f"sqlite:///{tmp_path}/old.db")
    stood = {"paused": ("suspended", 1), "resumed": ("running", 3), "begun": ("running", 1)}
    with engine.begin() as connection:
        command.upgrade(_config(connection), "r0006")
        for number, (name, (status, starts)) in enumerate(stood.items()):
            connection.execute(
                text(
                    "INSERT INTO job (id, name, tenant, spec, submitted_by, submitted_at,"
                    " release_at, deadline_at, status, reason, starts, crashes, work_done_hours,"
                    " power_cap_problem) VALUES (:id, :name, '', '{}', 'me', :at, :at, :at,"
                    " :status, '', :starts, 0, 40.0, '')"
                ),
                {
                    "id": f"{number:032x}",
                    "name": name,
                    "at": "2021-07-05 00:00:00",
                    "status": status,
                    "starts": starts,
                },
            )
        command.upgrade(_config(connection), "head")
        rows = connection.execute(text("SELECT name, work_saved_hours FROM job")).all()
    engine.dispose()
    assert dict(rows) == {"paused": 40.0, "resumed": 40.0, "begun": 0.0}


def test_values_of_an_older_database_are_what_they_were(tmp_path: Path) -> None:
    """Instants to the microsecond, and what is on record of each signal; also on the way back."""
    engine = make_engine(f"sqlite:///{tmp_path}/old.db")
    rows = [
        ("DE", "price", "2021-07-05 00:00:00.000000", "2021-07-04 10:45:00.000000", 60, 40.5, "a"),
        ("DE", "price", "2021-07-05 00:00:00.000000", "2021-07-04 10:45:00.000007", 60, 41.0, "b"),
        ("DE", "price", "2021-07-05 01:00:00.000000", "2021-07-04 10:45:00.000000", 30, -3.0, "a"),
    ]
    with engine.begin() as connection:
        command.upgrade(_config(connection), "r0008")
        for row in rows:
            connection.exec_driver_sql(
                "INSERT INTO signal_value (site, kind, start_at, known_at, minutes, value, source)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        command.upgrade(_config(connection), "head")
    with make_session_factory(engine)() as session:
        values = list(session.scalars(select(SignalValue).order_by(SignalValue.known_at)))
        (series,) = session.scalars(select(SignalSeries))
    night = datetime(2021, 7, 5, tzinfo=UTC)
    assert [value.start_at for value in values] == [night, night + timedelta(hours=1), night]
    assert [value.known_at.microsecond for value in values] == [0, 0, 7]
    assert [(value.minutes, value.value) for value in values] == [(60, 40.5), (30, -3.0), (60, 41)]
    assert (series.site, series.kind.value, series.n_intervals) == ("DE", "price", 2)
    assert (series.first_start_at, series.last_end_at) == (night, night + timedelta(minutes=90))
    assert series.newest_known_at == values[-1].known_at
    with engine.begin() as connection:
        command.downgrade(_config(connection), "r0008")
        found = connection.exec_driver_sql("SELECT * FROM signal_value ORDER BY start_at, known_at")
        assert [tuple(row) for row in found] == rows
    engine.dispose()


def test_first_revision_can_be_taken_back(engine: Engine) -> None:
    """Downgrading leaves none of our tables behind."""
    with engine.begin() as connection:
        command.downgrade(_config(connection), "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}


def test_two_plans_in_force_are_impossible(engine: Engine) -> None:
    """The partial index made by the migration is unique, not only the model's."""
    index = {index["name"]: index for index in inspect(engine).get_indexes("plan")}
    assert index["uq_plan_in_force"]["unique"]
