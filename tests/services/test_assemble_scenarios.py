"""From stored signals to scenarios: errors are those of what past plans were told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from connectors.types import SignalKind
from optimizer import SolveLimits, verify
from scheduler.doubt import NO_DOUBT, doubt_of, solve_in_doubt
from scheduler.services.assemble import Assembled, JobToPlan, assemble
from scheduler.services.assemble_scenarios import history_span
from scheduler.specs import FleetSpec
from tests.services.builders import START, fleet_spec, job_spec, signal_rows, site_spec, window

DAYS = 20
NIGHT = np.where(np.arange(24) < 12, 60.0, 20.0)


def told_and_came(
    kind: SignalKind, told: float, came: list[float], site: str = "DE"
) -> list[pd.DataFrame]:
    """For every past day a forecast as of midnight, and what came, known a day later."""
    frames = []
    for day, value in enumerate(came, start=1):
        start = START - timedelta(days=day)
        frames.append(signal_rows(site, kind, [told] * 24, start, known_at=start))
        later = start + timedelta(days=1)
        frames.append(signal_rows(site, kind, [value] * 24, start, known_at=later))
    return frames


def uncertain_fleet(*sites: dict[str, Any], **uncertainty: Any) -> FleetSpec:
    """A fleet that plans with errors."""
    return fleet_spec(*sites, planning={"uncertainty": {"history_days": DAYS} | uncertainty})


def made(fleet: FleetSpec, *past: pd.DataFrame, jobs: int = 0, now: datetime = START) -> Assembled:
    """Assemble a day that was published at midnight, with this past."""
    price = signal_rows("DE", SignalKind.PRICE, NIGHT.tolist(), known_at=START)
    carbon = signal_rows("DE", SignalKind.CARBON_INTENSITY, [200.0] * 24, known_at=START)
    waiting = [JobToPlan(job_spec(f"j{k}"), 2.0) for k in range(jobs)]
    history = pd.concat(past) if past else price.iloc[:0]
    known = pd.concat([price, carbon])
    return assemble(fleet, waiting, known, (), window(), now=now, history=history)


def usual(spread: float = 10.0) -> list[pd.DataFrame]:
    """Prices told at 50 that came at 50 and ``spread`` more or less, carbon as told."""
    prices = (50.0 + spread * np.linspace(-1.0, 1.0, DAYS)).tolist()
    carbon = told_and_came(SignalKind.CARBON_INTENSITY, 200.0, [200.0] * DAYS)
    return [*told_and_came(SignalKind.PRICE, 50.0, prices), *carbon]


def prices(assembled: Assembled) -> np.ndarray:
    """Import prices of the only site [scenario, slot]."""
    return np.array([one.sites[0].import_price_eur_per_mwh for one in assembled.scenarios])


def test_past_errors_stand_around_what_is_forecast_now() -> None:
    """Twenty past days become five futures: their mean is the forecast, each off by a level."""
    assembled = made(uncertain_fleet(scenarios=5), *usual())
    share = np.array([one.probability for one in assembled.scenarios])
    assert len(share) == 5
    np.testing.assert_allclose(share @ prices(assembled), NIGHT, atol=1e-6)
    off = prices(assembled) - NIGHT
    np.testing.assert_allclose(off, off[:, :1] * np.ones(24), atol=1e-6)
    assert 4.0 < np.abs(off).max() < 12.0
    assert not any("certain" in mark for mark in assembled.marks)


def test_scenarios_keep_currency_and_share_of_exports() -> None:
    """In dollars at half a euro, with exports at 80 %, errors are half, and 80 % of that."""
    site = site_spec(currency="USD", grid={"import_limit_kw": 9, "export_price_share": 0.8})
    planning = {"uncertainty": {"history_days": DAYS, "scenarios": 3}}
    dollars = fleet_spec(site, planning=planning, eur_per_unit={"USD": 0.5})
    own, euro = made(dollars, *usual()), made(uncertain_fleet(scenarios=3), *usual())
    np.testing.assert_allclose(prices(own), 0.5 * prices(euro), atol=1e-9)
    for one in own.scenarios:
        sold = np.array(one.sites[0].export_price_eur_per_mwh)
        bought = np.array(one.sites[0].import_price_eur_per_mwh)
        np.testing.assert_allclose(sold, 0.8 * bought, atol=1e-9)


def test_too_little_history_is_said_and_planned_without() -> None:
    """Six past days are too few: the plan is for the forecast alone, with a mark."""
    short = [frame for frame in usual() if frame["start_at"].min() >= START - timedelta(days=6)]
    for past in ([], short):
        assembled = made(uncertain_fleet(), *past)
        assert assembled.scenarios == ()
        assert any("forecast alone" in mark for mark in assembled.marks)


def test_a_signal_of_which_nothing_was_forecast_is_certain_and_marked() -> None:
    """Prices have a past and carbon has none: carbon is as forecast in all futures."""
    assembled = made(uncertain_fleet(), *usual()[: 2 * DAYS])
    assert "DE carbon_intensity: taken as certain, too few past forecasts" in assembled.marks
    carbon = {one.sites[0].carbon_g_per_kwh for one in assembled.scenarios}
    assert carbon == {(200.0,) * 24}


def test_a_day_that_is_not_whole_is_no_path() -> None:
    """A gap in what came is not filled with the day before: that would be no error at all."""
    whole = made(uncertain_fleet(scenarios=30), *usual())
    gap = [frame[frame["start_at"] != START - timedelta(days=3, hours=-5)] for frame in usual()]
    assert len(made(uncertain_fleet(scenarios=30), *gap).scenarios) == len(whole.scenarios) - 1


def test_values_of_unknown_age_tell_nothing_of_the_past() -> None:
    """A signals file that does not say when values were known gives no errors of zero."""
    timeless = [frame.assign(known_at=pd.NaT) for frame in usual()]
    for frame in timeless:
        frame["known_at"] = pd.to_datetime(frame["known_at"], utc=True)
    assert made(uncertain_fleet(), *timeless).scenarios == ()


def test_a_fleet_without_uncertainty_has_no_scenarios() -> None:
    """Forecasts are then taken at their word, and nobody is told otherwise."""
    assembled = made(fleet_spec(), *usual())
    assert assembled.scenarios == ()
    assert doubt_of(fleet_spec().planning, assembled) is NO_DOUBT


def test_pv_is_never_below_nothing() -> None:
    """A plant that errs by more than it gives stands still in that future."""
    fleet = uncertain_fleet(site_spec(has_pv=True), scenarios=30)
    came = np.linspace(0.0, 10.0, DAYS).tolist()
    pv = signal_rows("DE", SignalKind.PV, [1.0] * 24, known_at=START)
    past = [*usual(), *told_and_came(SignalKind.PV, 5.0, came)]
    price = signal_rows("DE", SignalKind.PRICE, NIGHT.tolist(), known_at=START)
    carbon = signal_rows("DE", SignalKind.CARBON_INTENSITY, [200.0] * 24, known_at=START)
    known = pd.concat([price, carbon, pv])
    assembled = assemble(fleet, (), known, (), window(), now=START, history=pd.concat(past))
    given = np.array([one.sites[0].renewable_kw[0] for one in assembled.scenarios])
    assert given.min() == 0.0
    assert given.max() > 4.0


@pytest.mark.parametrize("scenarios", [0, 3])
def test_plan_in_doubt_has_its_outlook_or_its_rule(scenarios: int) -> None:
    """With futures there is an outlook; without, waits are judged all the same."""
    fleet = uncertain_fleet(scenarios=scenarios, shift_confidence=1.0)
    assembled = made(fleet, *usual(), jobs=3)
    doubt = doubt_of(fleet.planning, assembled)
    plan = solve_in_doubt(assembled.problem, SolveLimits(20.0), doubt)
    assert not verify(assembled.problem, plan)
    assert (plan.outlook is not None) == (scenarios > 0)
    # All hours err alike here, so the cheap night is worth its wait.
    assert min(placed.start_slot for placed in plan.placements) == 12


def test_history_reaches_back_for_what_gaps_are_filled_from() -> None:
    """The first of the past issues sees as much of its own past as a plan does."""
    first, last = history_span(window(), DAYS)
    assert last == START
    assert first <= START - timedelta(days=DAYS + 7)


def test_own_forecasts_count_as_told_and_not_as_come() -> None:
    """A plan erred by what Gridtide forecast for it; what came is what was published."""
    fleet, came = uncertain_fleet(scenarios=30), 50.0 + 10.0 * np.linspace(-1.0, 1.0, DAYS)
    frames = told_and_came(SignalKind.PRICE, 50.0, came.tolist())
    own = [frame.assign(source="forecast/blend") for frame in frames[::2]]
    published = [frame.assign(source="exchange") for frame in frames[1::2]]
    carbon = told_and_came(SignalKind.CARBON_INTENSITY, 200.0, [200.0] * DAYS)
    past = [*own, *published, *(frame.assign(source="exchange") for frame in carbon)]
    np.testing.assert_allclose(
        np.sort(prices(made(fleet, *past))[:, 0]),
        np.sort(prices(made(uncertain_fleet(scenarios=30), *usual()))[:, 0]),
    )
    # Of a day that nobody published nothing came, whatever was forecast of it.
    assert len(made(fleet, *past[:DAYS], *past[DAYS + 3 :]).scenarios) == DAYS - 3
