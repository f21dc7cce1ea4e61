"""Small random problems for Hypothesis: every feature, on grids coarse enough to have no ties.

Prices go negative, exports are at times dearer than imports, windows at times too short: that is
where a formulation that is only nearly right gives itself away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from optimizer.events import DemandEvent
from optimizer.horizon import Horizon
from optimizer.jobs import Announced, InputData, Job, OperatingPoint, Pausing, Pin
from optimizer.positions import Position
from optimizer.problem import CapacityLimit, Ceilings, Link, Problem, Weights
from optimizer.reserves import ReserveBlock, ReserveProduct
from optimizer.sites import (
    CoincidentPeak,
    Generator,
    GridConnection,
    PeakDemand,
    Pool,
    Renewable,
    Site,
    StorageUnit,
)

SITES = ("A", "B")
PRICES_EUR_PER_MWH = (-60.0, -20.0, 0.0, 15.0, 30.0, 50.0, 90.0)
EXPORT_PRICES_EUR_PER_MWH = (-30.0, 0.0, 20.0, 60.0, 120.0)
WEIGHTS = st.sampled_from((1.0, 1.0, 2.0, 0.5, 0.0))


def _series(values: Sequence[float], n_slots: int) -> st.SearchStrategy[tuple[float, ...]]:
    """Values of ``values``, one for all slots or one for each."""
    constant = st.sampled_from(values).map(lambda value: (value,) * n_slots)
    return constant | st.tuples(*[st.sampled_from(values)] * n_slots)


@st.composite
def connections(draw: st.DrawFn, n_slots: int) -> GridConnection:
    """Grid connections, some of which cannot export, or hardly import."""
    return GridConnection(
        import_limit_kw=draw(_series((40.0, 40.0, 20.0, 6.0), n_slots)),
        export_limit_kw=draw(_series((0.0, 0.0, 6.0, 30.0), n_slots)),
        import_price_eur_per_mwh=draw(st.tuples(*[st.sampled_from(PRICES_EUR_PER_MWH)] * n_slots)),
        export_price_eur_per_mwh=draw(_series(EXPORT_PRICES_EUR_PER_MWH, n_slots)),
        network_fee_eur_per_mwh=draw(_series((0.0, 10.0, 25.0), n_slots)),
        carbon_g_per_kwh=draw(_series((0.0, 50.0, 300.0, 600.0), n_slots)),
    )


@st.composite
def storage_units(draw: st.DrawFn) -> StorageUnit:
    """Batteries, full, empty or below their own floor at the start."""
    capacity = draw(st.sampled_from((4.0, 10.0)))
    level = st.sampled_from((0.0, 0.25, 0.5, 1.0)).map(lambda share: share * capacity)
    efficiency = st.sampled_from((1.0, 0.9, 0.5))
    return StorageUnit(
        name="battery",
        charge_max_kw=draw(st.sampled_from((2.0, 5.0, 0.0))),
        discharge_max_kw=draw(st.sampled_from((3.0, 5.0, 0.0))),
        capacity_kwh=capacity,
        soc_initial_kwh=draw(level),
        charge_efficiency=draw(efficiency),
        discharge_efficiency=draw(efficiency),
        soc_floor_kwh=draw(st.just(0.0) | level),
        soc_final_min_kwh=draw(st.just(0.0) | level),
        terminal_value_eur_per_kwh=draw(st.sampled_from((0.0, 0.02, 0.2))),
        wear_eur_per_kwh=draw(st.sampled_from((0.0, 0.005))),
    )


@st.composite
def generators(draw: st.DrawFn) -> Generator:
    """Generators with and without a minimum load, dear and free fuel."""
    return Generator(
        name="engine",
        min_kw=draw(st.sampled_from((0.0, 2.0, 5.0))),
        max_kw=draw(st.sampled_from((5.0, 12.0))),
        fuel_eur_per_kwh=draw(st.sampled_from((0.0, 0.02, 0.06, 0.3))),
        start_eur=draw(st.sampled_from((0.0, 0.1, 0.5))),
        emissions_g_per_kwh=draw(st.sampled_from((0.0, 700.0))),
        is_on_initially=draw(st.booleans()),
    )


@st.composite
def peaks(draw: st.DrawFn, n_slots: int) -> tuple[PeakDemand, ...]:
    """One or two peak charges, with peaks so far, ratchets and slots that do not count."""
    return tuple(
        PeakDemand(
            charge_eur_per_kw=draw(st.sampled_from((0.05, 0.5, 0.0))),
            so_far_kw=draw(st.sampled_from((0.0, 3.0, 9.0))),
            counts=draw(_series((1.0, 1.0, 0.0), n_slots)),
            name=name,
            floor_kw=draw(st.sampled_from((0.0, 0.0, 4.0))),
        )
        for name in ("flat", "noon")[: draw(st.integers(1, 2))]
    )


@st.composite
def coincident_peaks(draw: st.DrawFn, n_slots: int) -> CoincidentPeak:
    """A grid's peak that falls into the horizon for certain, perhaps, or hardly."""
    likely = draw(st.tuples(*[st.sampled_from((0.0, 1.0, 3.0))] * n_slots))
    scale = draw(st.sampled_from((1.0, 0.5, 0.1))) / max(1.0, sum(likely))
    return CoincidentPeak(
        "4CP",
        charge_eur_per_kw=draw(st.sampled_from((0.02, 0.2, 2.0))),
        probability=tuple(scale * share for share in likely),
    )


@st.composite
def sites(draw: st.DrawFn, name: str, n_slots: int, has_plant: bool) -> Site:
    """One site of one or two pools; with ``has_plant``, also what stands behind the meter."""

    def perhaps(items: st.SearchStrategy[Any]) -> tuple[Any, ...]:
        return (draw(items),) if has_plant and draw(st.booleans()) else ()

    pools = tuple(
        Pool(
            pool,
            gpus=draw(_series((4.0, 2.0, 4.0, 1.0), n_slots)),
            idle_kw_per_gpu=draw(st.sampled_from((0.0, 0.5))),
        )
        for pool in ("old", "new")[: draw(st.integers(1, 2))]
    )
    plants = st.builds(Renewable, st.just("pv"), _series((0.0, 4.0, 12.0), n_slots))
    charges = perhaps(peaks(n_slots))
    return Site(
        name,
        pools,
        draw(connections(n_slots)),
        pue=draw(_series((1.0, 1.25, 1.5), n_slots)),
        base_load_kw=draw(_series((0.0, 3.0), n_slots)),
        renewables=perhaps(plants),
        storage=perhaps(storage_units()),
        generators=perhaps(generators()),
        peaks=charges[0] if charges else (),
        coincident_peaks=perhaps(coincident_peaks(n_slots)),
    )


@st.composite
def pausings(draw: st.DrawFn) -> Pausing:
    """What pausing costs, from nothing at all to losing two slots."""
    return Pausing(
        min_run_slots=draw(st.sampled_from((1, 1, 2, 3))),
        restart_slots=draw(st.sampled_from((0, 0, 1, 2))),
        restart_kwh=draw(st.sampled_from((0.0, 0.5))),
        restart_eur=draw(st.sampled_from((0.0, 0.02, 0.25))),
        max_pauses=draw(st.sampled_from((None, None, 0, 1, 2))),
    )


@st.composite
def points(draw: st.DrawFn, name: str, fleet: Sequence[Site]) -> OperatingPoint:
    """Operating points: speeds are multiples of 0.5, so that sums of work never nearly tie."""
    site = draw(st.sampled_from(fleet))
    power_kw, gpus = draw(st.sampled_from((1.0, 2.0, 5.0))), draw(st.sampled_from((1, 2, 0)))
    shed = draw(st.sampled_from((0.0, 0.0, 0.4, 1.0))) if gpus else 0.0
    return OperatingPoint(
        name=name,
        site=site.name,
        pool=draw(st.sampled_from(site.pools)).name,
        gpus=gpus,
        power_kw=power_kw,
        work_per_hour=draw(st.sampled_from((1.0, 0.5, 1.5, 2.0))),
        shed_kw=shed * power_kw,
        shed_within_s=draw(st.sampled_from((10.0, 200.0))),
    )


@st.composite
def pins(draw: st.DrawFn, ways: Sequence[OperatingPoint], n_slots: int) -> Pin:
    """Jobs that run already, and starts that are frozen."""
    is_running = draw(st.booleans())
    return Pin(
        point=draw(st.sampled_from(ways)).name,
        start_slot=0 if is_running else draw(st.integers(0, n_slots - 1)),
        n_slots=draw(st.integers(1, 3)),
        is_running=is_running,
    )


@st.composite
def input_data(draw: st.DrawFn, fleet: Sequence[Site]) -> InputData:
    """Input at some site; another one may have a part of it, or all."""
    names = st.sampled_from([site.name for site in fleet])
    size_gb = draw(st.sampled_from((10.0, 0.0, 25.0)))
    left = st.tuples(names, st.sampled_from((0.0, 0.5, 1.0)).map(lambda share: share * size_gb))
    return InputData(draw(names), size_gb, draw(st.just(()) | st.tuples(left)))


@st.composite
def jobs(
    draw: st.DrawFn,
    name: str,
    fleet: Sequence[Site],
    horizon: Horizon,
    pausing_of: st.SearchStrategy[Pausing | None],
) -> Job:
    """Jobs of every kind; about one in five has a window or pin it cannot keep."""
    n_slots = horizon.n_slots
    ways = [draw(points(f"p{k}", fleet)) for k in range(draw(st.integers(1, 3)))]
    pausing = draw(pausing_of)
    slots = st.integers(0, n_slots - 1)
    sometimes = st.sampled_from((False, False, True))
    return Job(
        name,
        work=draw(st.integers(1, 8)) * 0.5 * horizon.slot_hours,
        points=tuple(ways),
        release_slot=draw(st.sampled_from((0, 0, 1, 2))),
        deadline_slot=draw(st.sampled_from((n_slots, n_slots, n_slots + 2, n_slots - 1))),
        unserved_eur=draw(st.sampled_from((20.0, 20.0, 3.0, 0.3))),
        can_wait=draw(sometimes),
        due_slot=draw(st.none() | slots),
        lateness_eur_per_slot=draw(st.sampled_from((0.0, 0.02, 0.2))),
        pausing=pausing,
        is_elastic=draw(st.booleans()),
        data=draw(st.none() | input_data(fleet)),
        priority=draw(st.sampled_from((1.0, 2.0))),
        pin=draw(pins(ways, n_slots)) if draw(sometimes) else None,
        announced=(
            draw(st.builds(Announced, st.sampled_from([s.name for s in fleet]), slots))
            if draw(sometimes)
            else None
        ),
        had_started=pausing is not None and draw(sometimes),
    )


@st.composite
def weights(draw: st.DrawFn) -> Weights:
    """Any mixture of terms, carbon priced or not."""
    return Weights(
        *[draw(WEIGHTS) for _ in range(10)],
        carbon_eur_per_t=draw(st.sampled_from((0.0, 80.0, 1000.0))),
        churn_eur_per_job=draw(st.sampled_from((0.0, 0.1, 5.0))),
    )


@st.composite
def capacity_limits(draw: st.DrawFn, name: str, n_slots: int) -> CapacityLimit:
    """Limits on import in some slots, cheap or dear to break."""
    start = draw(st.integers(0, n_slots - 1))
    return CapacityLimit(
        name,
        site="A",
        start_slot=start,
        end_slot=start + draw(st.integers(1, 3)),
        limit_kw=draw(st.sampled_from((0.0, 3.0, 6.0))),
        breach_eur_per_kwh=draw(st.sampled_from((0.0, 0.05, 2.0))),
    )


@st.composite
def demand_events(draw: st.DrawFn, name: str, names: Sequence[str], n_slots: int) -> DemandEvent:
    """Calls of one site or all, paid well or badly, with or without a choice and a rebound."""
    length = draw(st.integers(1, 3))
    return DemandEvent(
        name,
        sites=tuple(draw(st.sampled_from((names, names[:1])))),
        start_slot=draw(st.integers(0, n_slots - 1)),
        level_kw=draw(_series((0.0, 3.0, 6.0), length)),
        missed_eur_per_kwh=draw(st.sampled_from((0.0, 0.05, 2.0))),
        pay_eur=draw(st.sampled_from((0.0, 0.1, 1.0))),
        decline_eur=draw(st.sampled_from((None, 0.0, 0.07, 0.5))),
        rebound_kw=draw(st.sampled_from(((), (3.0,), (5.0, 6.0)))),
        rebound_eur_per_kwh=draw(st.sampled_from((0.0, 0.04, 1.0))),
    )


@st.composite
def reserves(draw: st.DrawFn, name: str, names: Sequence[str], n_slots: int) -> ReserveProduct:
    """Products of one direction or both, for seconds or hours, some of them sold already."""
    most, start = draw(st.integers(1, 3)), draw(st.integers(0, n_slots - 1))
    first = start + draw(st.integers(1, 3))
    ends = [(start, first), (first, first + 2)][: draw(st.integers(1, 2))]
    is_up, is_down = draw(st.sampled_from(((True, False), (True, True), (False, True))))
    return ReserveProduct(
        name,
        sites=tuple(draw(st.sampled_from((names, names[:1])))),
        blocks=tuple(
            ReserveBlock(
                *span,
                eur_per_kw=draw(st.sampled_from((0.003, 0.02, 0.3))),
                sold_lots=draw(st.sampled_from((0, 0, 1))),
                is_closed=draw(st.sampled_from((False, False, True))),
            )
            for span in ends
        ),
        lot_kw=draw(st.sampled_from((0.5, 1.0, 2.0))),
        most_lots=most,
        hours=draw(st.sampled_from((0.0, 0.25, 1.0, 4.0))),
        activation_s=draw(st.sampled_from((30.0, 300.0))),
        missed_eur_per_kwh=draw(st.sampled_from((0.05, 3.0))),
        is_up=is_up,
        is_down=is_down,
    )


@st.composite
def positions(draw: st.DrawFn, names: Sequence[str], n_slots: int) -> Position:
    """Energy bought or sold ahead in some slots, dear or cheap to deviate from."""
    agreed = st.sampled_from((None, 3.0, 6.0, -2.0))
    return Position(
        "day ahead",
        sites=tuple(draw(st.sampled_from((names, names[:1])))),
        net_kw=draw(st.tuples(*[agreed] * n_slots)),
        over_eur_per_kwh=draw(_series((0.0, 0.01, 0.4), n_slots)),
        under_eur_per_kwh=draw(_series((0.0, 0.015, 0.2), n_slots)),
    )


@st.composite
def problems(
    draw: st.DrawFn, *, n_jobs: tuple[int, int], max_slots: int, has_plant: bool
) -> Problem:
    """Problems of one or two sites whose jobs share capacity and may wait for each other."""
    n_slots = draw(st.integers(3, max_slots))
    horizon = Horizon(n_slots, draw(st.sampled_from((1.0, 0.5, 0.25, 1 / 12))))
    names = SITES[: draw(st.sampled_from((1, 1, 2)))]
    fleet = [draw(sites(name, n_slots, has_plant)) for name in names]
    todo: list[Job] = []
    for k in range(draw(st.integers(*n_jobs))):
        job = draw(jobs(f"j{k}", fleet, horizon, st.none() | pausings()))
        earlier = [other.name for other in todo]
        after = draw(st.lists(st.sampled_from(earlier), max_size=1)) if earlier else []
        todo.append(replace(job, after=tuple(after)))
    links = tuple(
        Link(
            *ends,
            gb_per_hour=10.0 / horizon.slot_hours,
            eur_per_gb=draw(st.sampled_from((0.0, 0.01))),
            kwh_per_gb=draw(st.sampled_from((0.0, 0.1))),
        )
        for ends in (("A", "B"), ("B", "A"))[: draw(st.integers(0, 2)) if len(names) == 2 else 0]
    )
    limits = draw(st.integers(0, 2 if has_plant else 0))
    products = draw(st.sampled_from((0, 0, 1, 2))) if has_plant else 0
    has_ahead = has_plant and draw(st.sampled_from((False, False, True)))
    calls = draw(st.integers(0, 2 if has_plant else 0))
    return Problem(
        horizon,
        tuple(fleet),
        tuple(todo),
        links,
        tuple(draw(capacity_limits(f"dr-{k}", n_slots)) for k in range(limits)),
        draw(st.just(Weights()) | weights()),
        Ceilings(
            carbon_budget_kg=draw(st.sampled_from((None, None, None, None, 0.0, 2.0))),
            cost_ceiling_eur=draw(st.sampled_from((None, None, None, None, 0.0, 1.0))),
        ),
        reserves=tuple(draw(reserves(f"reserve-{k}", names, n_slots)) for k in range(products)),
        positions=(draw(positions(names, n_slots)),) if has_ahead else (),
        events=tuple(draw(demand_events(f"call-{k}", names, n_slots)) for k in range(calls)),
    )


@st.composite
def paused_problems(draw: st.DrawFn) -> Problem:
    """Problems where pausing pays: one site, prices that swing, time enough, restarts cheap."""
    n_slots = draw(st.integers(5, 8))
    horizon = Horizon(n_slots, 1.0)
    pausing = st.builds(
        Pausing,
        min_run_slots=st.sampled_from((1, 2, 3)),
        restart_slots=st.sampled_from((0, 1)),
        restart_kwh=st.sampled_from((0.0, 0.5)),
        restart_eur=st.sampled_from((0.001, 0.02)),
        max_pauses=st.sampled_from((None, 1, 2)),
    )
    price = st.tuples(*[st.sampled_from((-80.0, 10.0, 90.0, 200.0))] * n_slots)
    pool = Pool("old", (3.0,) * n_slots)
    nothing = (0.0,) * n_slots
    ample = (100.0,) * n_slots
    grid = GridConnection(ample, nothing, draw(price), nothing, nothing, nothing)
    fleet = (Site("A", (pool,), grid, (1.0,) * n_slots, nothing),)
    names = [f"j{k}" for k in range(draw(st.integers(1, 2)))]
    return Problem(
        horizon, fleet, tuple(draw(jobs(name, fleet, horizon, pausing)) for name in names)
    )
