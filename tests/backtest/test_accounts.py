"""The account of a past: nothing impossible happened, and everything adds up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.backtest.accounts import account_of
from scheduler.backtest.replay import play
from scheduler.backtest.truth import told, true_problem
from scheduler.backtest.world import PastRun, Scene, joined
from tests.backtest.small import (
    accounted,
    as_if_known,
    job,
    policy,
    scene,
    some_jobs,
    truth,
)

WRONG_LENGTHS = (0.5, 2.0)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_impossible_happens_and_everything_adds_up(seed: int) -> None:
    """Jobs longer and shorter than stated, forecasts that were wrong, plans every three hours.

    Verification finds no job before it came, no GPU given twice and no battery beyond its limits;
    energy is conserved, and money and carbon of sites and jobs add up to what the whole cost.
    """
    day, signals = scene(some_jobs(seed, 8, stated=WRONG_LENGTHS)), truth(seed)
    account = accounted(day, policy(as_if_known(truth(seed + 50)), 3), signals)
    assert account.breaches == ()
    assert account.worst_error < 1e-9
    assert account.n_unserved + account.n_unfinished == 0
    drawn = sum(share.kwh for site in account.sites.values() for share in site.jobs.values())
    assert drawn > 0.0


def test_a_run_before_a_job_came_is_found() -> None:
    """Verification reads the past that is told, whoever made it."""
    day, signals, (state, past, _) = _some_day()
    first = past.runs[0]
    earlier = replace(first, start_at=day.begin, end_at=first.end_at - (first.start_at - day.begin))
    assert earlier.start_at < day.jobs[_index(day, first)].spec.release_at
    changed = replace(past, runs=(earlier, *past.runs[1:]))
    account = account_of(told(true_problem(day, signals), day, changed, state.world))
    assert "release" in {breach.limit_name for breach in account.breaches}


def test_energy_from_nowhere_is_found() -> None:
    """Half of what was bought is left out of the flows."""
    day, signals, (state, past, _) = _some_day()
    whole = told(true_problem(day, signals), day, past, state.world)
    halved = tuple(
        replace(flow, import_kw=tuple(kw / 2 for kw in flow.import_kw)) for flow in whole.plan.flows
    )
    account = account_of(replace(whole, plan=replace(whole.plan, flows=halved)))
    assert account.worst_error > 1e-3
    assert account.breaches


def test_what_a_job_drew_is_its_own() -> None:
    """One job alone at a site without a base load has all of its cost."""
    day, signals = scene([job("alone", 3.0, sites=("FR",))]), truth()
    account = accounted(day, policy(as_if_known(signals), 24), signals)
    site = account.sites["FR"]
    assert site.jobs["alone"].kwh == pytest.approx(3.0)
    assert site.jobs["alone"].eur == pytest.approx(site.terms.money_eur)
    assert site.jobs["alone"].carbon_kg == pytest.approx(site.terms.carbon_kg)
    assert site.own.eur == 0.0


def test_what_is_sold_is_the_sites_own() -> None:
    """A job that draws next to nothing beside PV that is sold does not earn by it."""
    small = [{"pool": "a100", "gpus": 1, "kw": 0.001}]
    day, signals = scene([job("tiny", 12.0, sites=("DE",), operating_points=small)]), truth()
    site = accounted(day, policy(as_if_known(signals), 24), signals).sites["DE"]
    assert site.terms.energy_sold_eur > 0.0
    assert site.jobs["tiny"].eur >= 0.0
    assert site.unshared < 1e-9


def test_a_job_that_still_runs_at_the_end_is_counted_and_paid_for() -> None:
    """It was longer than its deadline allowed: what it drew until then is in the account."""
    day, signals = scene([job("endless", 40.0, stated_hours=4.0)]), truth()
    account = accounted(day, policy(as_if_known(signals), 6), signals)
    assert account.n_unfinished == 1
    assert account.breaches == ()
    shares = [site.jobs["endless"] for site in account.sites.values() if "endless" in site.jobs]
    assert shares[0].kwh >= 4.0


def _some_day() -> tuple[Scene, object, tuple]:
    day, signals = scene(some_jobs(1, 4)), truth(1)
    rounds = list(play(day, policy(as_if_known(signals), 12)))
    return day, signals, (rounds[-1][0], joined([past for _, past, _ in rounds]), ())


def _index(day: Scene, run: PastRun) -> int:
    return [it.spec.name for it in day.jobs].index(run.job)
