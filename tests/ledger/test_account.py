"""A slot is closed, settled and shared out: nothing is lost, whatever was metered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scheduler.ledger.account import Basis, Holder, SlotFacts, account_of
from scheduler.ledger.checks import faults, paid_eur, used_kwh
from scheduler.ledger.metering import BothWays
from tests.ledger.build import columns, facts, site, work

KWH = st.floats(0.0, 1e4, allow_subnormal=False)
BOTH_WAYS = st.builds(BothWays, KWH, KWH)
MAYBE = st.none() | KWH


@st.composite
def any_facts(draw: st.DrawFn) -> SlotFacts:
    """Meters that say anything, or nothing, of any load."""
    jobs = [
        work(f"job-{number}", draw(KWH), number, own_kwh=draw(MAYBE))
        for number in range(draw(st.integers(0, 4)))
    ]
    return facts(
        *jobs,
        grid=draw(st.none() | BOTH_WAYS),
        it_kwh=draw(MAYBE),
        produced_kwh=(draw(KWH),),
        is_produced_measured=draw(st.booleans()),
        storage=(draw(BOTH_WAYS),),
        generators_kwh=(draw(KWH),),
        base_load_kwh=draw(KWH),
        pue=draw(st.floats(1.0, 3.0)),
        idle_kwh=draw(KWH),
        export_limit_kwh=draw(KWH),
    )


@settings(max_examples=100, deadline=None)
@given(
    known=any_facts(),
    price=st.floats(-500.0, 3000.0),
    carbon=st.floats(0.0, 1000.0),
    marginal=st.none() | st.floats(0.0, 1500.0),
)
@example(
    facts(it_kwh=0.0, base_load_kwh=0.0, idle_kwh=0.0, grid=BothWays(3.0, 0.0)), -10.0, 0.0, 0.0
)
@example(facts(work(kwh=0.0), idle_kwh=0.0, base_load_kwh=0.0), 50.0, 300.0, None)  # none is drawn
@example(facts(work(own_kwh=9.0), it_kwh=3.0), 50.0, 300.0, 500.0)  # accounts say more
@example(facts(it_kwh=4.0, idle_kwh=2.3e-308, base_load_kwh=0.0), 50.0, 300.0, None)  # no scale
def test_energy_money_and_carbon_add_up(
    known: SlotFacts, price: float, carbon: float, marginal: float | None
) -> None:
    """Bought, generated and discharged is what was used, charged, curtailed and sold."""
    found = account_of(site(price, carbon), marginal, known)
    assert [*faults(*columns(found))] == []
    energy = found.energy
    for name in energy.__dataclass_fields__:
        assert getattr(energy, name) >= 0.0 or name == "unexplained_kwh", name
    assert energy.curtailed_kwh <= energy.generated_kwh
    assert {share.work for share in found.shares if share.work is not None} == set(known.work)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("bought_kwh", "energy in and out"),
        ("jobs_kwh", "energy in and out"),
        ("sold_eur", "money and shares"),
        ("carbon_kg", "carbon and shares"),
        ("marginal_kg", "marginal carbon and shares"),
    ],
)
def test_a_sum_that_does_not_come_out_is_named(name: str, what: str) -> None:
    """Also where it is off by a millionth."""
    entry, shares = columns(account_of(site(), 500.0, facts(work())))
    wrong = entry | {name: entry[name] * (1 + 1e-6) + 1e-6}
    assert any(fault.startswith(what) for fault in faults(wrong, shares))
    assert any("money" in fault for fault in faults(entry, shares[:1]))
    assert [*faults(entry | {name: float("nan")}, shares)], "what is not a number differs"


def test_without_a_meter_the_connection_closes_the_balance() -> None:
    """Five kWh of sun serve the load first; the rest is bought, or sold, or curtailed."""
    bought = account_of(site(), None, facts(work()))
    assert bought.energy.bought_kwh == pytest.approx(1.25 * 4.5 + 2.0 - 5.0)
    assert bought.money.energy_eur == pytest.approx(bought.energy.bought_kwh * 0.1)
    assert bought.carbon_kg == pytest.approx(bought.energy.bought_kwh * 0.3)
    idle = {"idle_kwh": 0.0, "base_load_kwh": 0.0, "export_limit_kwh": 2.0}
    sold = account_of(site(), None, facts(**idle)).energy
    assert (sold.bought_kwh, sold.sold_kwh, sold.curtailed_kwh) == (0.0, 2.0, 3.0)
    measured = account_of(site(), None, facts(**idle, is_produced_measured=True)).energy
    assert (measured.curtailed_kwh, measured.unexplained_kwh) == (0.0, 3.0)


def test_what_the_meter_says_beyond_what_is_known_is_told_apart() -> None:
    """It has its share of the cost; where the meter says less it has none."""
    more = account_of(site(), None, facts(work(), grid=BothWays(6.0, 0.0)))
    share = {share.holder: share for share in more.shares}[Holder.UNEXPLAINED]
    assert share.kwh == pytest.approx(11.0 - (1.25 * 4.5 + 2.0))
    assert share.eur == pytest.approx(more.money.spent_eur * share.kwh / 11.0)
    less = account_of(site(), None, facts(work(), grid=BothWays(1.0, 0.0)))
    share = {share.holder: share for share in less.shares}[Holder.UNEXPLAINED]
    assert (share.kwh < 0.0, share.eur) == (True, 0.0)


@pytest.mark.parametrize(
    ("own_kwh", "it_kwh", "jobs_kwh", "basis"),
    [
        (None, None, 4.0, Basis.MODELLED),
        (3.0, None, 3.0, Basis.MEASURED),
        (None, 9.0, 8.0, Basis.SHARED),  # 4 of 4.5, of what was measured
        (3.0, 9.0, 3.0, Basis.MEASURED),  # the rest is that of idle GPUs
        (6.0, 3.25, 3.0, Basis.SHARED),  # its account says more than the whole
    ],
)
def test_the_energy_of_a_job_says_how_it_is_known(
    own_kwh: float | None, it_kwh: float | None, jobs_kwh: float, basis: Basis
) -> None:
    """An account of its own goes before its share of what was measured, that before a model."""
    found = account_of(site(), None, facts(work(own_kwh=own_kwh), it_kwh=it_kwh))
    (share,) = [share for share in found.shares if share.holder is Holder.JOB]
    assert (share.it_kwh, share.basis) == (pytest.approx(jobs_kwh), basis)
    if it_kwh is not None:
        assert found.energy.jobs_kwh + found.energy.idle_kwh == pytest.approx(it_kwh)


def test_on_site_generation_is_counted_once() -> None:
    """What a plant and a battery give is bought by nobody and emits nothing; a generator does."""
    sun = account_of(site(), 900.0, facts(work(), produced_kwh=(20.0,), export_limit_kwh=0.0))
    assert (sun.energy.bought_kwh, sun.carbon_kg, sun.marginal_kg) == (0.0, 0.0, 0.0)
    diesel = account_of(site(), 900.0, facts(work(), produced_kwh=(0.0,), generators_kwh=(7.625,)))
    assert diesel.energy.bought_kwh == pytest.approx(0.0, abs=1e-9)
    assert diesel.carbon_kg == pytest.approx(7.625 * 0.8)
    assert diesel.money.generation_eur == pytest.approx(7.625 * 0.4 + 3.0)


def test_what_is_sold_is_the_sites_own() -> None:
    """Jobs do not pay less because of it."""
    found = account_of(site(), None, facts(work(), grid=BothWays(8.0, 4.0), produced_kwh=(9.0,)))
    by_holder = {share.holder: share for share in found.shares}
    assert by_holder[Holder.SITE].eur == pytest.approx(-4.0 * 0.05)
    entry, _ = columns(found)
    assert paid_eur(entry) == pytest.approx(sum(share.eur for share in found.shares))
    assert used_kwh(entry) == pytest.approx(sum(share.kwh for share in found.shares))


def test_two_jobs_share_by_what_they_drew() -> None:
    """Twice the energy costs twice as much."""
    known: Any = facts(work("a", 1.0, 1), work("b", 2.0, 2))
    first, second = account_of(site(), None, known).shares[:2]
    assert second.eur == pytest.approx(2 * first.eur)
    assert second.carbon_kg == pytest.approx(2 * first.carbon_kg)
    dearer = account_of(site(), None, replace(known, pue=2.0)).shares[0]
    assert dearer.kwh == pytest.approx(2.0)
