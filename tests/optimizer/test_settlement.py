"""Settlement: every term and violation against figures worked out by hand."""

from __future__ import annotations

import time

import pytest

from optimizer.jobs import Announced, InputData, Pausing, Pin
from optimizer.plan import Placement, Run
from optimizer.problem import CapacityLimit, Ceilings, Link, Weights
from optimizer.settlement import gpus_used, it_load_kw, settle
from tests.optimizer import build


def test_energy_is_priced_per_mwh_and_quarter_hours_count_a_quarter() -> None:
    """10 kW for 4 quarter-hours is 10 kWh: 2 EUR of energy, 0.1 of fees, 3 kg."""
    grid = build.grid(200.0, fee=10.0, carbon=300.0, n_slots=4)
    problem = build.problem(
        sites=[build.site(grid=grid, n_slots=4)], slots=build.horizon(4, slot_hours=0.25)
    )
    terms = settle(problem, (), [build.flows(n_slots=4, import_kw=10.0)]).terms
    assert terms.energy_bought_eur == pytest.approx(2.0)
    assert terms.network_eur == pytest.approx(0.1)
    assert terms.carbon_kg == pytest.approx(3.0)
    assert terms.money_eur == pytest.approx(2.1)


def test_exports_earn_their_own_price_and_are_not_credited_with_carbon() -> None:
    """5 kW over 8 hours at 50 EUR/MWh earns 2 EUR and saves no carbon."""
    problem = build.problem(sites=[build.site(grid=build.grid(sell=50.0, carbon=300.0))])
    settled = settle(problem, (), [build.flows(export_kw=5.0)])
    assert settled.terms.energy_sold_eur == pytest.approx(2.0)
    assert settled.terms.carbon_kg == 0.0
    assert settled.objective == pytest.approx(-2.0)


@pytest.mark.parametrize(("so_far_kw", "rise_kw"), [(0.0, 30.0), (25.0, 5.0), (40.0, 0.0)])
def test_only_the_rise_above_the_months_peak_in_counting_slots_costs(
    so_far_kw: float, rise_kw: float
) -> None:
    """The 99 kW of slot 0 fall outside the window that counts."""
    peak = build.peak(10.0, so_far_kw, counts=[0, 1, 1, 1, 1, 1, 1, 1])
    problem = build.problem(sites=[build.site(peaks=(peak,))])
    flow = build.flows(import_kw=[99, 10, 30, 0, 0, 0, 0, 0])
    assert settle(problem, (), [flow]).terms.peak_eur == pytest.approx(10.0 * rise_kw)


def test_every_peak_charge_is_settled_by_itself() -> None:
    """30 kW by day over 25 so far at 10 EUR; 99 by night over a ratchet of 60 at 2 EUR."""
    day = build.peak(10.0, 25.0, counts=[0, 1, 1, 1, 1, 1, 1, 1], name="day")
    night = build.peak(2.0, 10.0, counts=[1, 0, 0, 0, 0, 0, 0, 0], name="night", floor_kw=60.0)
    problem = build.problem(sites=[build.site(peaks=(day, night))])
    flow = build.flows(import_kw=[99, 10, 30, 0, 0, 0, 0, 0])
    assert settle(problem, (), [flow]).terms.peak_eur == pytest.approx(10 * 5 + 2 * 39)


@pytest.mark.parametrize(("is_on_initially", "starts"), [(False, 2), (True, 1)])
def test_generators_burn_fuel_and_start(is_on_initially: bool, starts: int) -> None:
    """12 kWh at 0.5 EUR and 600 g; on in slots 0-1 and 3: the first is a start only when off."""
    unit = build.generator(
        start_eur=7.0, emissions_g_per_kwh=600.0, is_on_initially=is_on_initially
    )
    problem = build.problem(sites=[build.site(generators=(unit,))])
    flow = build.flows(generator_kw=[[4, 4, 0, 4, 0, 0, 0, 0]])
    terms = settle(problem, (), [flow]).terms
    assert terms.generation_eur == pytest.approx(6.0 + 7.0 * starts)
    assert terms.carbon_kg == pytest.approx(7.2)


def test_batteries_wear_both_ways_and_are_worth_what_is_left() -> None:
    """4 kWh in and 2 out at 0.1 EUR wear 0.6 EUR; 12 kWh left at 0.2 EUR are worth 2.4."""
    unit = build.battery(wear_eur_per_kwh=0.1, terminal_value_eur_per_kwh=0.2)
    problem = build.problem(sites=[build.site(storage=(unit,))])
    flow = build.flows(
        charge_kw=[[4, 0, 0, 0, 0, 0, 0, 0]],
        discharge_kw=[[0, 2, 0, 0, 0, 0, 0, 0]],
        soc_kwh=[[14, 12, 12, 12, 12, 12, 12, 12]],
    )
    settled = settle(problem, (), [flow])
    assert settled.terms.storage_wear_eur == pytest.approx(0.6)
    assert settled.terms.storage_value_eur == pytest.approx(2.4)
    assert settled.objective == pytest.approx(0.6 - 2.4)


PAUSABLE = Pausing(restart_slots=1, restart_kwh=3.0, restart_eur=4.0)
TWO_RUNS = build.placed("job", ("A/full", 1, 3), ("A/full", 5, 7))


@pytest.mark.parametrize(
    ("changes", "restarts", "load"),
    [
        ({}, 1, [0, 1, 1, 0, 0, 4, 1, 0]),
        ({"had_started": True}, 2, [0, 4, 1, 0, 0, 4, 1, 0]),
    ],
)
def test_every_piece_but_a_fresh_start_is_a_restart(
    changes: dict[str, bool], restarts: int, load: list[float]
) -> None:
    """A restart draws its 3 kWh in its first slot, and a job that stands paused begins with one."""
    problem = build.problem(build.job(pausing=PAUSABLE, **changes))
    terms = settle(problem, [TWO_RUNS], [build.flows()]).terms
    assert terms.restarts_eur == pytest.approx(4.0 * restarts)
    assert it_load_kw(problem, [TWO_RUNS])[0].tolist() == load


def test_going_on_with_a_running_job_is_no_restart() -> None:
    """Pinned at slot 0, the first piece began before the horizon."""
    job = build.job(pausing=PAUSABLE, had_started=True, pin=Pin("A/full", 0, 2, is_running=True))
    placement = build.placed("job", ("A/full", 0, 2))
    terms = settle(build.problem(job), [placement], [build.flows()]).terms
    assert terms.restarts_eur == 0.0


def test_changing_gpus_is_a_restart_and_changing_the_cap_is_not() -> None:
    """Slots 0-1 and 1-2 share a configuration; slot 2 has two GPUs."""
    points = (
        build.point("A/full"),
        build.point("A/capped", power_kw=0.5),
        build.point("A/two", gpus=2),
    )
    job = build.job(points=points, pausing=PAUSABLE, is_elastic=True)
    placement = build.placed("job", ("A/full", 0, 1), ("A/capped", 1, 2), ("A/two", 2, 3))
    problem = build.problem(job)
    assert settle(problem, [placement], [build.flows()]).terms.restarts_eur == pytest.approx(4.0)
    assert gpus_used(problem, [placement])["A", "gpu"].tolist() == [1, 1, 2, 0, 0, 0, 0, 0]


def test_data_moves_right_before_the_first_start_at_the_destination() -> None:
    """30 GB at 20 GB/h take 2 slots; 0.4 kWh/GB make 6 kW in each; 0.1 EUR/GB make 3 EUR."""
    job = build.job(points=(build.point("B/full"),), data=InputData("A", 30.0))
    problem = build.problem(
        job,
        sites=[build.site("A"), build.site("B")],
        links=(Link("A", "B", 20.0, eur_per_gb=0.1, kwh_per_gb=0.4),),
    )
    placement = build.placed("job", ("B/full", 3, 5))
    terms = settle(problem, [placement], [build.flows("A"), build.flows("B")]).terms
    assert terms.data_transfer_eur == pytest.approx(3.0)
    load = it_load_kw(problem, [placement])
    assert load[0].tolist() == [0.0] * 8
    assert load[1].tolist() == [0, 6, 6, 1, 1, 0, 0, 0]


def test_data_that_was_moved_is_neither_moved_nor_paid_again() -> None:
    """15 of 30 GB are left to B: 1 slot of 6 kW, 1.50 EUR. C has all, and no link leads there."""
    sites = [build.site("A"), build.site("B"), build.site("C")]
    links = (Link("A", "B", 20.0, eur_per_gb=0.1, kwh_per_gb=0.4),)
    data = InputData("A", 30.0, (("B", 15.0), ("C", 0.0)))
    job = build.job(points=(build.point("B/full"), build.point("C/full")), data=data)
    problem = build.problem(job, sites=sites, links=links)
    flows = [build.flows(site.name) for site in sites]
    at_b, at_c = (build.placed("job", (f"{name}/full", 3, 5)) for name in "BC")
    assert settle(problem, [at_b], flows).terms.data_transfer_eur == pytest.approx(1.5)
    assert it_load_kw(problem, [at_b])[1].tolist() == [0, 0, 6, 1, 1, 0, 0, 0]
    assert settle(problem, [at_c], flows).terms.data_transfer_eur == 0.0
    assert it_load_kw(problem, [at_c])[2].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]


def test_idle_gpus_draw_power_until_a_job_holds_them() -> None:
    """Four GPUs idle at 0.1 kW each; the job's one GPU draws its own 1 kW instead."""
    problem = build.problem(
        build.job(), sites=[build.site(pools=(build.pool(idle_kw_per_gpu=0.1),))]
    )
    load = it_load_kw(problem, [build.placed("job", ("A/full", 0, 2))])[0]
    assert load == pytest.approx([1.3, 1.3, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4])


def test_lateness_counts_every_slot_after_the_due_one_times_priority() -> None:
    """Done by slot 6 and due by 4: two slots at 5 EUR, priority 3."""
    job = build.job(due_slot=4, lateness_eur_per_slot=5.0, priority=3.0)
    placement = build.placed("job", ("A/full", 4, 6))
    terms = settle(build.problem(job), [placement], [build.flows()]).terms
    assert terms.lateness_eur == pytest.approx(30.0)


def test_lost_value_has_priority_and_a_deferred_job_has_its_expected_cost() -> None:
    """Unserved: 100 EUR times 2; deferred: 40 EUR as they stand, on a line of their own."""
    lost = build.job("lost", priority=2.0)
    waits = build.job("waits", unserved_eur=40.0, priority=9.0, can_wait=True)
    problem = build.problem(lost, waits, weights=Weights(unserved=0.5))
    settled = settle(problem, (), [build.flows()])
    assert settled.terms.unserved_eur == pytest.approx(200.0)
    assert settled.terms.deferred_eur == pytest.approx(40.0)
    assert settled.objective == pytest.approx(0.5 * 200.0 + 40.0)


@pytest.mark.parametrize(
    ("announced", "is_running", "churned"),
    [
        (None, False, 0),
        (Announced("A", 0), False, 0),
        (Announced("A", 1), False, 1),
        (Announced("B", 0), False, 1),
        (Announced("B", 0), True, 0),
    ],
)
def test_departing_from_what_was_announced_is_churn(
    announced: Announced | None, is_running: bool, churned: int
) -> None:
    """Another start or site churns; what already runs cannot be announced any more."""
    pin = Pin("A/full", 0, 1, is_running=True) if is_running else None
    job = build.job(announced=announced, pin=pin)
    problem = build.problem(job, weights=Weights(churn_eur_per_job=6.0))
    settled = settle(problem, [build.placed("job", ("A/full", 0, 2))], [build.flows()])
    assert settled.terms.churned_jobs == churned
    assert settled.objective == pytest.approx(6.0 * churned)


def test_leaving_an_announced_job_out_is_churn_too() -> None:
    """The promise is broken all the same."""
    problem = build.problem(build.job(announced=Announced("A", 0)))
    assert settle(problem, (), [build.flows()]).terms.churned_jobs == 1


def test_every_violation_names_owner_slot_amount_limit_and_penalty() -> None:
    """One of each kind, each priced by hand."""
    unit = build.battery(soc_floor_kwh=5.0, soc_final_min_kwh=10.0)
    problem = build.problem(
        sites=[build.site(storage=(unit,), grid=build.grid(1000.0, carbon=1000.0))],
        capacity_limits=(CapacityLimit("dr-7", "A", 2, 4, 6.0, 8.0),),
        ceilings=Ceilings(carbon_budget_kg=15.0, cost_ceiling_eur=12.0),
    )
    flow = build.flows(
        import_kw=[0, 10, 10, 0, 0, 0, 0, 0],
        shortfall_kw=[0, 0, 0, 0, 0, 2, 0, 0],
        charge_kw=[0],
        discharge_kw=[0],
        soc_kwh=[[10, 10, 10, 10, 10, 10, 10, 3]],
    )
    settled = settle(problem, (), [flow])
    found = [
        (v.kind, v.owner, v.slot, v.amount, v.unit, v.limit, v.penalty_eur)
        for v in settled.violations
    ]
    assert found == [
        ("shortfall", "site A", 5, 2.0, "kW", 0.0, 200.0),
        ("soc_floor", "storage A/battery", 7, 2.0, "kWh", 5.0, 40.0),
        ("soc_final", "storage A/battery", 7, 7.0, "kWh", 10.0, 140.0),
        ("capacity_limit", "capacity limit dr-7", 2, 4.0, "kW", 6.0, 32.0),
        ("carbon_budget", "fleet", None, 5.0, "kg", 15.0, 250.0),
        ("cost_ceiling", "fleet", None, 8.0, "EUR", 12.0, 400.0),
    ]
    assert settled.terms.violations_eur == pytest.approx(1062.0)
    assert settled.objective == pytest.approx(20.0 + 1062.0)


def test_rounding_of_a_solver_is_no_violation() -> None:
    """1e-8 kW of shortfall is noise."""
    settled = settle(build.problem(), (), [build.flows(shortfall_kw=1e-8)])
    assert settled.violations == ()


def test_weights_multiply_terms_and_the_report_stays_unweighted() -> None:
    """8 kWh at 100 EUR/MWh and 500 g/kWh: 0.8 EUR times 2, and 4 kg at 50 EUR/t."""
    problem = build.problem(
        sites=[build.site(grid=build.grid(100.0, carbon=500.0))],
        weights=Weights(energy=2.0, carbon_eur_per_t=50.0),
    )
    settled = settle(problem, (), [build.flows(import_kw=1.0)])
    assert settled.terms.energy_bought_eur == pytest.approx(0.8)
    assert settled.objective == pytest.approx(1.6 + 0.2)


def test_ten_thousand_jobs_settle_in_seconds() -> None:
    """The bound is generous: it guards against quadratic look-ups."""
    jobs = [build.job(f"job-{i}") for i in range(10_000)]
    placements = [Placement(job.name, "A", (Run("A/full", 0, 2),)) for job in jobs]
    problem = build.problem(*jobs)
    began = time.perf_counter()
    settle(problem, placements, [build.flows()])
    it_load_kw(problem, placements)
    assert time.perf_counter() - began < 3.0
