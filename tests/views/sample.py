"""A small plan made by hand, with one of everything a view has to show.

Two sites with different zones and currencies, 30 hours; jobs that pause, change speed, move data,
are late, are deferred and are not served; a grid event that is breached; a battery and PV.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from optimizer import (
    CapacityLimit,
    Generator,
    GridConnection,
    Horizon,
    InputData,
    Job,
    Link,
    OperatingPoint,
    Pausing,
    PeakDemand,
    Placement,
    Plan,
    Pool,
    Problem,
    Renewable,
    Run,
    Rung,
    Site,
    SiteFlows,
    StorageUnit,
    Unserved,
    Weights,
    it_load_kw,
    settle,
)
from scheduler.services.plan_document import PlanDocument
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec
from scheduler.views import IndexRow

N_SLOTS = 30
HOSTILE_NAME = "<script>alert('x')</script>"
START = datetime(2021, 7, 5, tzinfo=UTC)

INDEX_ROW = IndexRow(
    url="/plans/7",
    status="in_force",
    created_at=START,
    window_start=START,
    window_end=START + timedelta(hours=48),
    rung="greedy",
    gap=None,
    money_eur=90.0,
    baseline_money_eur=100.0,
    carbon_kg=50.0,
    baseline_carbon_kg=40.0,
    n_violations=2,
    n_marks=3,
)

FLEET = FleetSpec.model_validate(
    {
        "name": "sample",
        "eur_per_unit": {"USD": 0.85},
        "sites": [
            {
                "name": "berlin",
                "time_zone": "Europe/Berlin",
                "pue": 1.2,
                "grid": {"import_limit_kw": 900},
                "pools": [{"name": "a100", "gpus": 32}, {"name": "l40", "gpus": 8}],
                "has_pv": True,
            },
            {
                "name": "oregon",
                "time_zone": "America/Los_Angeles",
                "currency": "USD",
                "pue": 1.1,
                "grid": {"import_limit_kw": 900},
                "pools": [{"name": "a100", "gpus": 32}],
            },
        ],
    }
)


def _wave(mean: float, swing: float, top_hour: float) -> tuple[float, ...]:
    return tuple(
        mean + swing * math.cos((hour - top_hour) * math.tau / 24) for hour in range(N_SLOTS)
    )


def _flat(value: float) -> tuple[float, ...]:
    return (value,) * N_SLOTS


def _sun(peak_kw: float, noon: float) -> tuple[float, ...]:
    return tuple(
        peak_kw * max(0.0, math.cos((hour - noon) * math.tau / 24)) for hour in range(N_SLOTS)
    )


def _site(name: str, price: tuple[float, ...], carbon: tuple[float, ...]) -> Site:
    grid = GridConnection(_flat(900), _flat(300), price, price, _flat(20), carbon)
    if name == "oregon":
        return Site(name, (Pool("a100", _flat(32), 0.05),), grid, _flat(1.1), _flat(15))
    return Site(
        name,
        (Pool("a100", (32,) * 12 + (24,) * 6 + (32,) * 12, 0.05), Pool("l40", _flat(8), 0.03)),
        grid,
        _flat(1.2),
        _flat(20),
        renewables=(Renewable("pv", _sun(40, 11)),),
        storage=(StorageUnit("battery", 20, 20, 60, 20, 0.95, 0.95, 10, 10, 0.02, 0.005),),
        generators=(Generator("diesel", 5, 50, 0.4, 10, 800),),
        peaks=(PeakDemand(3.0, 40, _flat(1)),),
    )


def _points(
    gpus: int, kw: float, *sites: str, speeds: Sequence[float] = (1.0,)
) -> tuple[OperatingPoint, ...]:
    return tuple(
        OperatingPoint(
            f"{site}/a100x{gpus}" + ("" if speed == 1 else f"@{speed:g}"),
            site,
            "a100",
            gpus,
            kw * speed,
            speed,
        )
        for site in sites
        for speed in speeds
    )


BOTH = ("berlin", "oregon")
JOBS = (
    Job("train-llm", 8, _points(16, 12, *BOTH), 0, 28, 900, due_slot=26, lateness_eur_per_slot=5),
    Job(
        "finetune-pausable",
        6,
        _points(8, 6, *BOTH),
        0,
        24,
        400,
        pausing=Pausing(2, 1, 1.5, 0.2, 3),
    ),
    Job(
        "batch-elastic",
        5,
        _points(4, 4, "oregon", speeds=(1.0, 0.5)),
        2,
        22,
        200,
        is_elastic=True,
    ),
    Job("moves-data", 3, _points(8, 6, "oregon"), 0, 20, 300, data=InputData("berlin", 400)),
    Job("late-eval", 4, _points(4, 3, "berlin"), 4, 29, 100, due_slot=12, lateness_eur_per_slot=4),
    Job("nightly", 2, _points(8, 5, "berlin"), 20, 30, 150, after=("train-llm",)),
    Job(HOSTILE_NAME, 2, _points(2, 1.5, "oregon"), 0, 10, 50),
    Job("too-big", 3, _points(32, 30, "berlin"), 12, 17, 700),
    Job("can-wait", 4, _points(8, 6, *BOTH), 24, 30, 30, can_wait=True),
)

PROBLEM = Problem(
    Horizon(N_SLOTS, 1.0),
    (
        _site("berlin", _wave(60, 55, 18), _wave(380, 120, 20)),
        _site("oregon", _wave(45, 30, 2), _wave(240, 90, 6)),
    ),
    JOBS,
    links=(Link("berlin", "oregon", 200, 0.01, 0.002),),
    capacity_limits=(CapacityLimit("dr-7", "berlin", 17, 19, 24, 5),),
    weights=Weights(carbon_eur_per_t=80),
)

PLACEMENTS = (
    Placement("train-llm", "berlin", (Run("berlin/a100x16", 8, 16),)),
    Placement(
        "finetune-pausable",
        "berlin",
        (Run("berlin/a100x8", 2, 6), Run("berlin/a100x8", 11, 14)),
    ),
    Placement(
        "batch-elastic",
        "oregon",
        (Run("oregon/a100x4@0.5", 4, 8), Run("oregon/a100x4", 8, 11)),
    ),
    Placement("moves-data", "oregon", (Run("oregon/a100x8", 12, 15),)),
    Placement("late-eval", "berlin", (Run("berlin/a100x4", 16, 20),)),
    Placement("nightly", "berlin", (Run("berlin/a100x8", 22, 24),)),
    Placement(HOSTILE_NAME, "oregon", (Run("oregon/a100x2", 6, 8),)),
)
UNSERVED = (
    Unserved("too-big", "needs 32 GPUs of berlin/a100 in one slot, at most 24 are available"),
    Unserved("can-wait", "its deadline lies beyond the window", is_deferred=True),
)
RUN_NOW = tuple(
    replace(
        placement,
        runs=(Run(placement.runs[0].point.split("@")[0], start, start + hours),),
    )
    for placement, start, hours in zip(
        PLACEMENTS, (0, 0, 2, 2, 4, 20, 0), (8, 6, 5, 3, 4, 2, 2), strict=True
    )
)


def flows_of(placements: Sequence[Placement], *, uses_battery: bool) -> tuple[SiteFlows, ...]:
    """Serve the load: sun first, the battery from 17 h on, the grid for the rest."""
    load = it_load_kw(PROBLEM, placements)
    return tuple(
        _site_flows(site, tuple(float(kw) for kw in load[row]), uses_battery)
        for row, site in enumerate(PROBLEM.sites)
    )


def _site_flows(site: Site, it_kw: tuple[float, ...], uses_battery: bool) -> SiteFlows:
    rows: dict[str, list[float]] = {
        name: [] for name in ("import", "export", "sun", "charge", "discharge", "soc")
    }
    soc = site.storage[0].soc_initial_kwh if site.storage else 0.0
    for slot in range(N_SLOTS):
        load = site.base_load_kw[slot] + site.pue[slot] * it_kw[slot]
        sun = site.renewables[0].available_kw[slot] if site.renewables else 0.0
        charge = discharge = 0.0
        if uses_battery and site.storage:
            charge = 10.0 if 9 <= slot < 13 else 0.0
            discharge = 15.0 if 18 <= slot < 20 else 0.0
            soc += 0.95 * charge - discharge / 0.95
        net = load + charge - sun - discharge
        for name, kw in (
            ("import", max(0.0, net)),
            ("export", max(0.0, -net)),
            ("sun", sun),
            ("charge", charge),
            ("discharge", discharge),
            ("soc", soc),
        ):
            rows[name].append(kw)
    return SiteFlows(
        site=site.name,
        it_load_kw=it_kw,
        import_kw=tuple(rows["import"]),
        export_kw=tuple(rows["export"]),
        shortfall_kw=_flat(0),
        renewable_kw=(tuple(rows["sun"]),) if site.renewables else (),
        charge_kw=(tuple(rows["charge"]),) if site.storage else (),
        discharge_kw=(tuple(rows["discharge"]),) if site.storage else (),
        soc_kwh=(tuple(rows["soc"]),) if site.storage else (),
        generator_kw=(_flat(0),) if site.generators else (),
    )


def plan_of(
    placements: Sequence[Placement], rung: Rung, *, uses_battery: bool, bound_share: float | None
) -> Plan:
    """Settle ``placements`` into a plan whose bound is ``bound_share`` of its objective."""
    flows = flows_of(placements, uses_battery=uses_battery)
    settled = settle(PROBLEM, placements, flows)
    return Plan(
        rung=rung,
        placements=tuple(placements),
        unserved=UNSERVED,
        flows=flows,
        terms=settled.terms,
        violations=settled.violations,
        objective=settled.objective,
        bound=None if bound_share is None else settled.objective * bound_share,
    )


def sample_document() -> PlanDocument:
    """Build the sample: its plan, its run-now baseline and one mark."""
    return PlanDocument(
        fleet=FLEET,
        window=PlanWindow(START, 60, N_SLOTS),
        problem=PROBLEM,
        plan=plan_of(PLACEMENTS, Rung.EXACT, uses_battery=True, bound_share=0.996),
        baseline=plan_of(RUN_NOW, Rung.BASELINE, uses_battery=False, bound_share=None),
        marks=("berlin price: 3 hours from 2021-07-06T02:00Z filled with the day before",),
        created_at=datetime(2021, 7, 4, 13, 30, tzinfo=UTC),
    )
