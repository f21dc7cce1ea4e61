"""What really ran is entered once it is over, corrected when more becomes known, and kept."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from connectors.types import PowerScope, SignalKind, Window
from scheduler.db.models import (
    ClusterPower,
    JobEnergy,
    JobRun,
    LedgerDay,
    LedgerEntry,
    LedgerShare,
    LedgerSite,
    TelemetryValue,
)
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.fleet import replace_fleet
from scheduler.services.ledger_store import Kept, examine, standing_in
from scheduler.services.ledger_watch import ENTERED_AFTER, LOOKED_AT_AGAIN, LedgerWatch
from scheduler.services.signals import SignalPoint, insert_values
from scheduler.specs.message import TelemetrySeries
from tests.services.builders import START, fleet_spec, site_spec
from tests.services.play import HOUR, runs
from tests.services.scene import Scene, put_in_force

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
POOL = {"name": "a100", "gpus": 8, "idle_kw_per_gpu": 0.1}


@pytest.fixture
def scene(sessions: SessionFactory) -> Scene:
    """One site whose ledger begins at START."""
    scene = Scene(sessions).set_up(fleet_spec(site_spec(pools=[POOL], pue=1.5, base_load_kw=2.0)))
    assert look(scene) == 0
    return scene


def look(scene: Scene, hours: float | None = None) -> int:
    """Look at what is due, so many hours from START."""
    scene.at = scene.at if hours is None else START + hours * HOUR
    return LedgerWatch(scene.sessions, scene.now).look()


def ran(scene: Scene, name: str, first: float, last: float | None, **changes: Any) -> UUID:
    """A job that ran so, in hours from START."""
    job = scene.submit(name, **changes)
    with transaction(scene.sessions) as session:
        ended = None if last is None else START + last * HOUR
        session.add(
            JobRun(
                job_id=job,
                began_at=START + first * HOUR,
                start=1,
                site="DE",
                point="a100x1",
                ended_at=ended,
            )
        )
    return job


def metered(
    scene: Scene,
    kw: float,
    first: float,
    last: float,
    series: TelemetrySeries = TelemetrySeries.SITE_POWER,
    device: str = "",
) -> None:
    """A reading every quarter of an hour."""
    n_quarters = round((last - first) * 4)
    with transaction(scene.sessions) as session:
        for quarter in range(n_quarters + 1):
            session.add(
                TelemetryValue(
                    site="DE",
                    series=series,
                    device=device,
                    at=START + first * HOUR + quarter * 15 * MINUTE,
                    value=kw,
                    source="meter",
                    received_at=scene.at,
                )
            )


def standing(scene: Scene) -> dict[float, Kept]:
    """Entries that stand, by hours from START."""
    with transaction(scene.sessions) as session:
        found = standing_in(session, Window(START - DAY, START + 30 * DAY), "DE")
    return {(start - START) / HOUR: kept for start, kept in sorted(found.items())}


def faults(scene: Scene) -> list[str]:
    """What is wrong with the chain."""
    with transaction(scene.sessions) as session:
        return [fault.what for fault in examine(session, "DE")]


def share_of(kept: Kept, job: str) -> dict[str, Any]:
    """What a job has of an entry."""
    return next(share for share in kept.shares if share["job"] == job)


def test_a_slot_is_entered_once_its_readings_are_in(scene: Scene) -> None:
    """Not sooner, and once: looking again enters nothing."""
    before = START + HOUR + ENTERED_AFTER - MINUTE
    assert look(scene, (before - START) / HOUR) == 0
    assert look(scene, (before + MINUTE - START) / HOUR) == 1
    assert look(scene) == 0
    assert list(standing(scene)) == [0.0]
    assert look(scene, 6) == 4
    assert faults(scene) == []


def test_an_entry_says_what_ran_and_what_it_cost(scene: Scene) -> None:
    """Without a meter all is modelled, and marked so: jobs, idle GPUs, overhead, base load."""
    ran(scene, "train", 0.5, 1.5, tenant="vision", project="p")
    look(scene, 3)
    first = standing(scene)[0.0]
    entry = first.entry
    assert entry["jobs_kwh"] == pytest.approx(0.5)
    assert entry["idle_kwh"] == pytest.approx(0.1 * 7.5)
    assert entry["overhead_kwh"] == pytest.approx(0.5 * 1.25)
    assert entry["bought_kwh"] == pytest.approx(1.5 * 1.25 + 2.0)
    assert entry["energy_eur"] == pytest.approx(entry["bought_kwh"] * 0.05)
    assert entry["carbon_kg"] == pytest.approx(entry["bought_kwh"] * 0.2)
    assert (entry["measured"], entry["estimated"], entry["marginal_kg"]) == ([], [], None)
    share = share_of(first, "train")
    assert (share["tenant"], share["project"], share["basis"]) == ("vision", "p", "modelled")
    assert (share["gpu_hours"], share["kwh"]) == (0.5, pytest.approx(0.75))
    assert [share["job"] for share in standing(scene)[1.0].shares if share["job"]] == ["train"]


def test_what_the_meters_say_stands(scene: Scene) -> None:
    """The cluster's energy is shared by its jobs and idle GPUs; the rest is unexplained."""
    ran(scene, "train", 0, 2)
    metered(scene, 8.0, 0, 2)
    with transaction(scene.sessions) as session:
        for minute in range(121):
            session.add(
                ClusterPower(
                    site="DE",
                    at=START + minute * MINUTE,
                    kw=3.4,
                    is_measured=True,
                    source="nvml",
                    scope=PowerScope.GPUS,
                    reason="",
                )
            )
    look(scene, 2.5)
    kept = standing(scene)[0.0]
    assert kept.entry["measured"] == ["grid", "cluster"]
    assert kept.entry["jobs_kwh"] == pytest.approx(2.0)  # 1 of 1.7 of 3.4
    assert kept.entry["unexplained_kwh"] == pytest.approx(8.0 - 1.5 * 3.4 - 2.0)
    assert share_of(kept, "train")["basis"] == "shared"


def test_late_data_is_a_correction_and_the_first_entry_stays(scene: Scene) -> None:
    """Whoever reads the ledger reads the last; the first can be read beside it."""
    look(scene, 2.5)
    metered(scene, 9.0, 0, 1)
    with transaction(scene.sessions) as session:
        dearer = SignalPoint("DE", SignalKind.PRICE, START + HOUR, 60, 75.0, scene.at)
        insert_values(session, [dearer], "test")
    assert look(scene, 3.5) == 3  # two corrections, one new
    with transaction(scene.sessions) as session:
        rows = session.scalars(select(LedgerEntry).order_by(LedgerEntry.seq)).all()
    told = [((row.start_at - START) / HOUR, row.revision) for row in rows]
    assert told == [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0)]
    assert standing(scene)[0.0].entry["bought_kwh"] == pytest.approx(9.0)
    assert standing(scene)[1.0].entry["price_eur_per_mwh"] == 75.0
    assert faults(scene) == []


def test_a_day_is_looked_at_again_for_a_week(scene: Scene) -> None:
    """Then it stays as it is."""
    look(scene, 25.5)
    metered(scene, 9.0, 4, 5)
    assert look(scene, 24 + 5) > 0  # of the next day
    assert standing(scene)[4.0].entry["measured"] == []
    look(scene, 24 + 7)
    assert standing(scene)[4.0].entry["measured"] == ["grid"]
    over = (DAY + LOOKED_AT_AGAIN[-1] + ENTERED_AFTER) / HOUR
    look(scene, over)
    with transaction(scene.sessions) as session:
        assert session.get_one(LedgerSite, "DE").open_from > START
        assert session.get_one(LedgerDay, ("DE", START)).looked_at == scene.at
    metered(scene, 9.0, 8, 9)
    look(scene, over + 24)
    assert standing(scene)[8.0].entry["measured"] == []


def test_a_day_that_was_late_holds_up_no_other(scene: Scene) -> None:
    """Though the day after it was settled before: none that is settled is gone through again."""
    settled_at = START + 2 * DAY + LOOKED_AT_AGAIN[-1] + ENTERED_AFTER
    with transaction(scene.sessions) as session:
        session.add(LedgerDay(site="DE", day_at=START + DAY, looked_at=settled_at))
    look(scene, (settled_at - START) / HOUR)
    with transaction(scene.sessions) as session:
        assert session.get_one(LedgerSite, "DE").open_from == START + 2 * DAY


def test_what_was_measured_once_stays(scene: Scene) -> None:
    """Readings are kept for a while; that they are gone corrects nothing."""
    metered(scene, 9.0, 0, 2)
    look(scene, 1.5)
    with transaction(scene.sessions) as session:
        session.execute(delete(TelemetryValue))
    assert look(scene, 2.5) == 1
    assert standing(scene)[0.0].entry["bought_kwh"] == pytest.approx(9.0)


def test_a_job_with_an_account_has_its_own_energy(scene: Scene) -> None:
    """Its start's energy is spread over the slots it ran in; it comes late, as a correction."""
    job = ran(scene, "train", 0.5, 2.0)
    look(scene, 2.5)
    with transaction(scene.sessions) as session:
        session.add(
            JobEnergy(
                job_id=job,
                start=1,
                site="DE",
                started_at=START,
                ended_at=None,
                kwh=3.0,
                source="slurm",
                scope=PowerScope.NODES,
                reason="",
                recorded_at=scene.at,
            )
        )
    look(scene, 3.5)
    found = [share_of(standing(scene)[hour], "train") for hour in (0.0, 1.0)]
    assert [share["it_kwh"] for share in found] == [pytest.approx(1.0), pytest.approx(2.0)]
    assert {share["basis"] for share in found} == {"measured"}


def test_marginal_carbon_tokens_and_gpus_are_told_where_somebody_does(scene: Scene) -> None:
    """By a marginal intensity, the job's own count, and the fleet's figure of making GPUs."""
    life = {"embodied_kg_per_gpu": 150.0, "lifetime_years": 5}
    with transaction(scene.sessions) as session:
        made = fleet_spec(site_spec(pools=[POOL | life]))
        replace_fleet(session, made, "test", START - MINUTE)
        marginal = SignalPoint(
            "DE", SignalKind.MARGINAL_CARBON_INTENSITY, START, 60, 600.0, scene.at
        )
        insert_values(session, [marginal], "test")
    ran(scene, "serve", 0, None)
    metered(scene, 0.0012, 0.5, 0.5, TelemetrySeries.JOB_TOKENS, "serve")
    metered(scene, 0.0048, 2, 2, TelemetrySeries.JOB_TOKENS, "serve")
    look(scene, 2.5)
    first, second = standing(scene)[0.0], standing(scene)[1.0]
    assert first.entry["marginal_kg"] == pytest.approx(3 * first.entry["carbon_kg"])
    assert second.entry["marginal_kg"] is None
    share = share_of(first, "serve")
    assert share["embodied_kg"] == pytest.approx(150 / (5 * 365.25 * 24))
    assert share["tokens"] == pytest.approx(1200 + 3600 / 3)
    assert share_of(second, "serve")["tokens"] == pytest.approx(2400)


def test_tokens_are_told_over_midnight_however_seldom(scene: Scene) -> None:
    """3,600 from 22:00 to 01:00, where START is midnight: a third of them in each hour."""
    ran(scene, "serve", 20, None)
    for hour, millions in ((22, 0.001), (25, 0.0046)):
        metered(scene, millions, hour, hour, TelemetrySeries.JOB_TOKENS, "serve")
    look(scene, 26.5)
    look(scene, 24 + 6.5)
    found = [share_of(standing(scene)[hour], "serve")["tokens"] for hour in (22.0, 23.0, 24.0)]
    assert found == [pytest.approx(1200.0)] * 3


def test_forecast_and_plan_stand_beside_what_really_was(scene: Scene) -> None:
    """So that a wrong plan can be found out: it is the one that held as the slot began."""
    scene.submit()
    put_in_force(scene, runs("train", (1, 3)))
    look(scene, 3.5)
    entry = standing(scene)[1.0].entry
    expected = entry["expected"]
    assert expected["it_kwh"] == pytest.approx(1.0 + 0.7)
    assert entry["jobs_kwh"] == 0.0  # nobody started it
    assert expected["bought_kwh"] > entry["bought_kwh"]
    assert (expected["price_eur_per_mwh"], expected["carbon_g_per_kwh"]) == (50.0, 200.0)
    assert expected["eur"] == pytest.approx(expected["bought_kwh"] * 0.05)


def test_a_generator_that_runs_over_midnight_is_started_once(sessions: SessionFactory) -> None:
    """5 kWh at 0.1 EUR in every hour from noon on, and 3 EUR in the first."""
    diesel = {"name": "diesel", "max_kw": 50.0, "fuel_per_kwh": 0.1, "start_cost": 3.0}
    site = site_spec(generators=[diesel], base_load_kw=20.0, grid={"import_limit_kw": 15.0})
    scene = Scene(sessions).set_up(fleet_spec(site))
    look(scene)
    put_in_force(scene, start_h=12)
    look(scene, 26.5)
    spent = [standing(scene)[hour].entry["generation_eur"] for hour in (12.0, 13.0, 23.0, 24.0)]
    assert spent == [pytest.approx(eur) for eur in (3.5, 0.5, 0.5, 0.5)]


def test_a_signal_that_nobody_published_is_named(scene: Scene) -> None:
    """It is that of the day before; where there is none there is no entry, but a gap."""
    look(scene, 50.5)
    assert standing(scene)[47.0].entry["estimated"] == []
    assert standing(scene)[48.0].entry["estimated"] == ["carbon_intensity", "price"]
    with transaction(scene.sessions) as session:
        replace_fleet(session, fleet_spec(site_spec(), site_spec("FR")), "test", scene.at)
    look(scene)
    look(scene, 60)
    with transaction(scene.sessions) as session:
        assert standing_in(session, Window(START, scene.at), "FR") == {}
        assert session.get(LedgerDay, ("FR", START + 2 * DAY)) is not None, "it was reckoned"


def test_two_workers_enter_one_entry_each(scene: Scene) -> None:
    """Of any number that look at once."""
    scene.at = START + 10 * HOUR
    at_once = threading.Barrier(3)
    counts: list[int] = []

    def work() -> None:
        at_once.wait()
        counts.append(LedgerWatch(scene.sessions, scene.now).look())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == len(standing(scene)) == 9
    assert faults(scene) == []


def corrupted(session: Any, what: str) -> None:
    """Change the second entry behind the ledger's back."""
    second = session.scalars(select(LedgerEntry).order_by(LedgerEntry.seq)).all()[1]
    of_entry = LedgerShare.entry_id == second.id
    match what:
        case "a figure":
            session.execute(
                update(LedgerEntry).where(LedgerEntry.id == second.id).values(bought_kwh=1.0)
            )
        case "a share":
            session.execute(update(LedgerShare).where(of_entry).values(tenant="other"))
        case "an instant":
            later: datetime = second.reckoned_at + MINUTE
            session.execute(
                update(LedgerEntry).where(LedgerEntry.id == second.id).values(reckoned_at=later)
            )
        case "all of it":
            session.execute(delete(LedgerShare).where(of_entry))
            session.execute(delete(LedgerEntry).where(LedgerEntry.id == second.id))


CORRUPTED = {
    "a figure": "its values are not those that were written",
    "a share": "its values are not those that were written",
    "an instant": "its values are not those that were written",
    "all of it": "entries 1 to 1 are missing",
}


def test_a_corrupted_row_is_found(scene: Scene) -> None:
    """Whatever was changed of it, and that one is gone."""
    ran(scene, "train", 0, None)
    look(scene, 4)
    assert faults(scene) == []
    for what, found in CORRUPTED.items():
        with scene.sessions() as session:
            corrupted(session, what)
            assert found in [fault.what for fault in examine(session, "DE")], what
            session.rollback()
    assert faults(scene) == []
