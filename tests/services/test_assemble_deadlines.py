"""Deadlines past the window's end: what the window must hold, in hand-computed numbers."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer import Pin
from tests.services.builders import fleet_spec, site_spec
from tests.services.test_assemble_jobs import PAUSABLE, after, made, only, running, to_plan

CARBON_FLEET = fleet_spec(
    site_spec(pue=1.5, grid={"import_limit_kw": 100, "network_fee_per_mwh": 10}),
    site_spec("FR", pue=1.1),
    planning={"weights": {"carbon_eur_per_t": 100.0}},
    links=[{"from_site": "DE", "to_site": "FR", "gb_per_hour": 10, "eur_per_gb": 0.01}],
)


def test_what_fits_afterwards_may_wait_at_the_cost_it_is_expected_to_have() -> None:
    """3 h at 2 kW due at hour 27: FR costs 6 kWh x 1.1 x (0.05 + 0.1 x 0.2) = 0.462 EUR.

    DE would cost 6 kWh x 1.5 x (0.05 + 0.01 + 0.02) = 0.72 EUR.
    """
    points = [{"pool": "a100", "gpus": 1, "kw": 2.0}]
    standing = to_plan(work_hours=3, operating_points=points, deadline_at=after(27))
    job = only(made(standing, fleet=CARBON_FLEET))
    assert (job.can_wait, job.deadline_slot) == (True, 24)
    assert job.unserved_eur == pytest.approx(0.462)


def test_moving_the_data_later_costs_as_much_as_now() -> None:
    """Five GB from DE take one slot and cost 0.05 EUR: FR costs 0.512 EUR, less than DE."""
    points = [{"pool": "a100", "gpus": 1, "kw": 2.0}]
    data = {"site": "DE", "size_gb": 5}
    standing = to_plan(work_hours=3, operating_points=points, deadline_at=after(28), data=data)
    assert only(made(standing, fleet=CARBON_FLEET)).unserved_eur == pytest.approx(0.512)


def test_waiting_past_the_due_date_costs_lateness() -> None:
    """Done at hour 26 at the earliest, due at 25, 3 EUR/h: 3 EUR and 0.1 EUR for 2 kWh."""
    standing = to_plan(deadline_at=after(30), due_at=after(25), lateness_eur_per_hour=3)
    assert only(made(standing)).unserved_eur == pytest.approx(3.1)


def test_what_can_wait_and_does_not_fit_is_left_out() -> None:
    """Released at hour 23, two hours long, due at hour 26."""
    assembled = made(to_plan(release_at=after(23), deadline_at=after(26)))
    assert assembled.problem.jobs == ()
    assert assembled.marks == ("job train: left out, it fits only after the window and can wait",)


def test_what_does_not_fit_afterwards_must_finish_within() -> None:
    """Two hours due at hour 25: one hour is left after the window."""
    job = only(made(to_plan(deadline_at=after(25))))
    assert (job.can_wait, job.deadline_slot, job.work) == (False, 24, 2)
    assert job.unserved_eur == 40


LONG: dict[str, Any] = {"work_hours": 30, "deadline_at": after(40)}


def test_of_a_long_pausable_job_what_cannot_be_done_later_is_planned() -> None:
    """30 h due at 40: 16 h are left after the window, one of them for the restart: 15 h now."""
    assembled = made(to_plan(**LONG, **PAUSABLE))
    job = only(assembled)
    assert (job.work, job.deadline_slot, job.can_wait) == (15, 24, False)
    assert assembled.cut_jobs == ("train",)
    assert assembled.marks == (
        "job train: 15 of 30 h of work planned, the rest after the window's end",
    )


def test_a_long_contiguous_job_starts_at_its_latest_safe_start() -> None:
    """30 h due at 40 must begin at hour 10: 14 of its slots lie in the window."""
    assembled = made(to_plan(**LONG))
    job = only(assembled)
    assert (job.release_slot, job.deadline_slot, job.work) == (10, 24, 14)
    assert assembled.cut_jobs == ("train",)
    assert assembled.marks == ("job train: starts in slot 10 and runs 16 slots past the window",)


def test_of_a_long_contiguous_job_the_fastest_points_are_kept() -> None:
    """At double speed 15 slots suffice: from hour 25 on, which waits; due at 35 it begins at 20."""
    points = [
        {"pool": "a100", "gpus": 1, "kw": 1.0},
        {"pool": "a100", "gpus": 2, "kw": 2.0, "speed": 2.0},
    ]
    standing = to_plan(
        work_hours=30, release_at=after(12), deadline_at=after(35), operating_points=points
    )
    job = only(made(standing))
    assert [point.name for point in job.points] == ["DE/a100x2"]
    assert (job.release_slot, job.work) == (20, 8)


def test_a_job_too_long_for_its_deadline_is_left_for_the_plan_to_name() -> None:
    """40 h due in 38: nothing is cut, and no plan can serve it."""
    assembled = made(to_plan(work_hours=40, deadline_at=after(38)))
    assert only(assembled).work == 40
    assert assembled.marks == ()


def test_a_running_contiguous_job_is_cut_at_the_window() -> None:
    """30 h are left: 24 of them in the window, whatever its deadline."""
    assembled = made(running(30, work_hours=30, deadline_at=after(100)))
    job = only(assembled)
    assert (job.work, job.deadline_slot) == (24, 24)
    assert job.pin == Pin("DE/a100x1", 0, 24, is_running=True)
    assert assembled.marks == ("job train: runs on for 6 slots past the window's end",)


def test_a_running_job_never_waits() -> None:
    """It could be done wholly later, but it runs: it finishes within the window."""
    job = only(made(running(2, deadline_at=after(40), **PAUSABLE)))
    assert (job.can_wait, job.deadline_slot) == (False, 24)


def test_of_a_long_running_pausable_job_at_least_the_pin_is_planned() -> None:
    """30 h due in 100: all of it fits later, so only the slot it is pinned to is held."""
    job = only(made(running(30, work_hours=30, deadline_at=after(100), **PAUSABLE)))
    assert (job.work, job.pin) == (1, Pin("DE/a100x1", 0, 1, is_running=True))


def test_successors_of_a_job_that_is_cut_wait_for_the_next_window() -> None:
    """Its predecessor is not done before hour 40."""
    assembled = made(to_plan(**LONG, **PAUSABLE), to_plan("b", after=["train"]))
    assert [job.name for job in assembled.problem.jobs] == ["train"]
    assert assembled.marks[1] == (
        "job b: left out, its predecessor train is not done within the window"
    )
