"""Named problems, each a sharp corner: drop one rule from a model and one of them notices.

Small enough for the textbook MILP; ``ALTERNATING`` prices make stopping and going on pay.
"""

from __future__ import annotations

from optimizer.events import DemandEvent
from optimizer.jobs import Announced, InputData, Pausing, Pin
from optimizer.positions import Position
from optimizer.problem import CapacityLimit, Ceilings, Link, Problem, Weights
from optimizer.reserves import ReserveBlock, ReserveProduct
from tests.optimizer.build import (
    battery,
    coincident,
    generator,
    grid,
    job,
    peak,
    point,
    pool,
    problem,
    site,
    solar,
)

ALTERNATING = (10.0, 90.0, 20.0, 80.0, 30.0, 95.0, 15.0, 85.0)
RISING = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)
FALLING = tuple(reversed(RISING))
PAID = (-50.0,) * 8

FULL = (point(gpus=4),)
CAPS = (point("A/full", power_kw=3.0, work_per_hour=2.0), point("A/capped"))
SHAPES = (
    point("A/wide", gpus=4, power_kw=4.0, work_per_hour=2.0),
    point("A/narrow", gpus=1, power_kw=1.2, work_per_hour=0.5),
)
EVERYWHERE = (point("A/full"), point("B/full"))
GAP = pool(gpus=(4, 4, 4, 0, 4, 4, 4, 4))
FREE = Pausing()
DEAR = Pausing(restart_slots=1, restart_kwh=0.5, restart_eur=0.02)


def _at(price: tuple[float, ...] | float, *jobs: object, **changes: object) -> Problem:
    return problem(*jobs, sites=(site(price=price, **changes),))  # type: ignore[arg-type]


def _block(start_slot: int, end_slot: int, sold_lots: int = 0) -> ReserveBlock:
    return ReserveBlock(start_slot, end_slot, 0.04, sold_lots)


TWO_SITES = (site("A", price=RISING), site("B", price=FALLING))
LINKED = (Link("A", "B", gb_per_hour=10.0, eur_per_gb=0.001, kwh_per_gb=0.05),)

JOBS: dict[str, Problem] = {
    "two jobs want the one cheap hour": _at(
        ALTERNATING, job("a", 1, points=FULL), job("b", 1, points=FULL)
    ),
    "short windows": _at(
        ALTERNATING,
        job("a", 2, release_slot=1, deadline_slot=4),
        job("b", 2, release_slot=3, deadline_slot=6, pausing=FREE),
        job("c", 4, release_slot=5),
    ),
    "second of a chain would rather go first": _at(
        RISING, job("a", 2), job("b", 2, after=("a",)), job("c", 2, after=("b",), pausing=FREE)
    ),
    "paid to run, though done": _at(PAID, job("a", 2), job("b", 2, pausing=FREE)),
    "paid to run at any speed": _at(PAID, job(work=3, points=CAPS, is_elastic=True)),
    "paid to change speed and pause": _at(
        PAID, job(work=3, points=CAPS, is_elastic=True, pausing=DEAR)
    ),
    "paid to run slowly": _at(
        PAID,
        job(
            points=(
                point("A/slow", power_kw=3.0, work_per_hour=0.5),
                point("A/fast", work_per_hour=1.5),
            ),
            is_elastic=True,
            pausing=FREE,
        ),
    ),
    "a restart that loses a whole slow piece": _at(
        ALTERNATING,
        job(work=0.5, points=(point(), point("A/slow", work_per_hour=0.5)), pausing=DEAR),
    ),
    "paid to do a slot too many": _at(
        (-80.0,) * 8,
        job(
            "a",
            0.5,
            points=(point("A/p0"), point("A/p1"), point("A/p2")),
            release_slot=2,
            pausing=Pausing(restart_eur=0.001),
        ),
        job(
            "b",
            1.0,
            points=(point("A/p0", gpus=0, work_per_hour=2.0), point("A/p1")),
            is_elastic=True,
            pausing=Pausing(restart_eur=0.001, max_pauses=1),
        ),
        pools=(pool(gpus=3),),
    ),
    "one pause, and a shape to change for it": _at(
        (200.0, -80.0, 200.0, 90.0, 10.0, 200.0, 10.0, 90.0),
        job(
            work=3,
            points=(
                point("A/two", gpus=2, power_kw=5.0, work_per_hour=2.0),
                point("A/one", power_kw=5.0),
            ),
            is_elastic=True,
            pausing=Pausing(restart_kwh=0.5, restart_eur=0.001, max_pauses=1),
        ),
    ),
    "pausing is free": _at(ALTERNATING, job(work=4, pausing=FREE)),
    "pausing is dear": _at(ALTERNATING, job(work=3, pausing=DEAR)),
    "pausing loses two hours": _at(ALTERNATING, job(work=3, pausing=Pausing(restart_slots=2))),
    "one pause at most": _at(ALTERNATING, job(work=4, pausing=Pausing(max_pauses=1))),
    "runs of three hours": _at(ALTERNATING, job(work=6, pausing=Pausing(min_run_slots=3))),
    "runs of two hours, restart of one": _at(
        ALTERNATING, job(work=4, pausing=Pausing(min_run_slots=2, restart_slots=1))
    ),
    "shapes to change between, for a restart": _at(
        ALTERNATING, job(work=5, points=SHAPES, is_elastic=True, pausing=DEAR)
    ),
    "caps to change between, for nothing": _at(
        ALTERNATING, job(work=7, points=CAPS, is_elastic=True)
    ),
    "caps to change between, paused": _at(
        ALTERNATING, job(work=7, points=CAPS, is_elastic=True, pausing=DEAR)
    ),
    "late, and paid by the hour": _at(
        FALLING,
        job("a", 2, due_slot=3, lateness_eur_per_slot=0.03, pausing=FREE),
        job("b", 2, due_slot=3, lateness_eur_per_slot=0.03),
        job("c", 3, points=CAPS, is_elastic=True, due_slot=2, lateness_eur_per_slot=0.03),
    ),
    "running, and goes on when it is cheap": _at(
        ALTERNATING, job(work=4, pausing=DEAR, pin=Pin("A/full", 0, 2, is_running=True))
    ),
    "running, done before its pin ends, and paid later": _at(
        (10.0, 90.0, 90.0, -80.0, 90.0, 90.0, 90.0, 90.0),
        job(
            work=1.5,
            points=CAPS,
            is_elastic=True,
            pausing=DEAR,
            pin=Pin("A/full", 0, 2, is_running=True),
        ),
    ),
    "start frozen at a dear hour": _at(
        ALTERNATING,
        job("a", 3, pausing=FREE, pin=Pin("A/full", 1, 2)),
        job("b", 3, pin=Pin("A/full", 3, 1)),
    ),
    "stands paused": _at(ALTERNATING, job(work=3, pausing=DEAR, had_started=True)),
    "data has to come first": problem(
        job("a", 2, points=EVERYWHERE, data=InputData("A", 20.0)),
        job("b", 2, points=(point("B/full"),), data=InputData("A", 20.0), pausing=FREE),
        sites=(site("A", price=FALLING), site("B", price=RISING)),
        links=LINKED,
    ),
    "data has come, or is on its way": problem(
        job("a", 2, points=EVERYWHERE, data=InputData("A", 20.0, (("B", 0.0),))),
        job("b", 2, points=(point("B/full"),), data=InputData("A", 20.0, (("B", 5.0),))),
        sites=(site("A", price=FALLING), site("B", price=RISING)),
        links=LINKED,
    ),
    "gap in a pool, start frozen before it": _at(
        10.0, job("a", 3, pin=Pin("A/full", 1, 1)), job("b"), pools=(GAP,)
    ),
    "gap in a pool, running towards it": _at(
        10.0, job("a", 4, pin=Pin("A/full", 0, 1, is_running=True)), job("b"), pools=(GAP,)
    ),
    "gap in a pool, no pause allowed": _at(
        10.0, job("a", 5, pausing=Pausing(max_pauses=0)), job("b", after=("a",)), pools=(GAP,)
    ),
    "gap in a pool, runs longer than either side": _at(
        10.0, job("a", 5, pausing=Pausing(min_run_slots=5)), job("b"), pools=(GAP,)
    ),
    "pauses at one of two sites": problem(
        job(work=4, points=EVERYWHERE, pausing=FREE, announced=Announced("B", 3)),
        sites=TWO_SITES,
        weights=Weights(churn_eur_per_job=0.01),
    ),
    "paid at either of two sites": problem(
        job(work=2, points=EVERYWHERE, pausing=FREE),
        sites=(site("A", price=-20.0), site("B", price=-30.0)),
    ),
}

ENERGY: dict[str, Problem] = {
    "paid to burn energy in a lossy battery": _at(
        PAID, storage=(battery(charge_efficiency=0.5, discharge_efficiency=0.5),)
    ),
    "exports dearer than imports": _at(
        0.0, base_kw=1.0, grid=grid(20.0, sell=60.0, export_kw=1.0), renewables=(solar(3.0),)
    ),
    "connection too weak for both": _at(
        0.0,
        job("a", 2, points=CAPS),
        job("b", 2, points=CAPS, pausing=FREE),
        base_kw=1.0,
        grid=grid(RISING, fee=5.0, import_kw=2.0),
    ),
    "battery earns the spread": _at(
        ALTERNATING, base_kw=5.0, storage=(battery(charge_efficiency=0.9, wear_eur_per_kwh=0.001),)
    ),
    "battery below its reserve": _at(
        RISING,
        storage=(
            battery(soc_initial_kwh=0.0, soc_floor_kwh=12.0, soc_final_min_kwh=4.0),
            battery("second", soc_initial_kwh=6.0, soc_final_min_kwh=8.0),
        ),
    ),
    "engine too large to run alone": _at(
        0.0,
        base_kw=(3, 3, 0, 3, 3, 8, 8, 3),
        grid=grid(400.0, export_kw=0.0),
        generators=(generator(min_kw=5.0, fuel_eur_per_kwh=0.2, start_eur=0.6),),
    ),
    "engine that starts twice": _at(
        0.0,
        base_kw=(4, 4, 0, 0, 4, 4, 0, 0),
        grid=grid(300.0, export_kw=0.0),
        generators=(generator(min_kw=2.0, fuel_eur_per_kwh=0.1, start_eur=0.5),),
    ),
    "peak above the month's so far": _at(
        ALTERNATING, job(work=6, points=CAPS, is_elastic=True), peaks=(peak(0.05, so_far_kw=2.0),)
    ),
    "two charges, each in its own hours": _at(
        ALTERNATING,
        job(work=6, points=CAPS, is_elastic=True),
        peaks=(
            peak(0.03, so_far_kw=1.0, counts=(1, 1, 1, 1, 0, 0, 0, 0), name="morning"),
            peak(0.02, so_far_kw=0.5, counts=(0, 0, 1, 1, 1, 1, 0, 0), name="noon"),
        ),
    ),
    "grid's peak likeliest in the cheap hours": _at(
        RISING,
        job(work=3, points=CAPS, is_elastic=True),
        base_kw=1.0,
        storage=(battery(soc_initial_kwh=2.0, wear_eur_per_kwh=0.001),),
        coincident_peaks=(coincident((0.3, 0.4, 0.1, 0.1, 0, 0, 0, 0), 0.5),),
    ),
    "load by night, where no peak counts": _at(
        ALTERNATING,
        job(work=3, points=CAPS, is_elastic=True),
        base_kw=(6, 6, 1, 1, 1, 1, 6, 6),
        peaks=(peak(0.05, counts=(0, 0, 1, 1, 1, 1, 0, 0)),),
    ),
    "a new month begins, under a ratchet": _at(
        FALLING,
        job(work=8, points=CAPS, is_elastic=True),
        base_kw=1.0,
        peaks=(
            peak(0.04, so_far_kw=2.5, counts=(1, 1, 1, 1, 1, 0, 0, 0), name="old"),
            peak(0.04, floor_kw=2.0, counts=(0, 0, 0, 0, 0, 1, 1, 1), name="new"),
        ),
    ),
    "limit in the cheapest hours": problem(
        job(work=3, pausing=FREE),
        sites=(site(price=RISING, base_kw=1.0),),
        capacity_limits=(CapacityLimit("dr", "A", 0, 4, 1.0, 0.035),),
    ),
    "event that pays less than its penalties": problem(
        job(work=3, pausing=FREE),
        sites=(site(price=RISING, base_kw=1.0),),
        events=(DemandEvent("dr", ("A",), 0, (0.5, 0.5, 0.5), 0.4, 0.5, decline_eur=0.02),),
    ),
    "event of two sites, and what follows it": problem(
        job(work=3, points=EVERYWHERE, pausing=FREE),
        sites=(site("A", price=10.0, base_kw=1.0), site("B", price=15.0, base_kw=1.0)),
        events=(
            DemandEvent("dr", ("A", "B"), 0, (2.0, 2.0), 0.05, 0.01, 0.5, (2.5, 2.5), 0.003),
            DemandEvent("must", ("A",), 5, (1.5, 1.5, 1.5), 0.02),
        ),
    ),
    "reserves up and down of a small battery": problem(
        sites=(
            site(
                base_kw=1.0,
                grid=grid(ALTERNATING, sell=5.0, import_kw=7.0, export_kw=9.0),
                storage=(battery(soc_initial_kwh=3.0, capacity_kwh=8.0, discharge_efficiency=0.8),),
            ),
        ),
        reserves=(
            ReserveProduct(
                "FCR", ("A",), (_block(0, 3), _block(3, 8, 2)), 1.0, 9, 0.5, is_down=True
            ),
            ReserveProduct("mFRR", ("A",), (_block(2, 6),), 0.5, 30, 1.0, missed_eur_per_kwh=0.1),
        ),
    ),
    "reserve of power, and a connection too weak for it": problem(
        sites=(
            site(
                base_kw=1.0,
                grid=grid(20.0, sell=5.0, import_kw=6.0, export_kw=3.0),
                storage=(battery(charge_max_kw=4.0, wear_eur_per_kwh=0.02),),
            ),
        ),
        reserves=(
            ReserveProduct("up", ("A",), (_block(0, 4),), 0.5, 99, 0.0),
            ReserveProduct(
                "down", ("A",), (_block(4, 8),), 0.5, 99, 0.0, is_up=False, is_down=True
            ),
        ),
    ),
    "reserve of power, and more connection than it": problem(
        sites=(
            site(
                grid=grid(20.0, sell=5.0, import_kw=60.0, export_kw=60.0),
                storage=(battery(charge_max_kw=4.0, wear_eur_per_kwh=0.02),),
            ),
        ),
        reserves=(
            ReserveProduct("up", ("A",), (_block(0, 4),), 0.5, 99, 0.1),
            ReserveProduct(
                "down", ("A",), (_block(4, 8),), 0.5, 99, 0.1, is_up=False, is_down=True
            ),
        ),
    ),
    "jobs whose load is sold as a reserve": problem(
        job(
            "a",
            work=3,
            points=(
                point("A/full", power_kw=3.0, work_per_hour=2.0, shed_kw=2.0, shed_within_s=20.0),
                point("A/capped", shed_kw=0.5, shed_within_s=5.0),
            ),
            is_elastic=True,
            pausing=FREE,
        ),
        job("b", work=2, points=(point(shed_kw=1.0, shed_within_s=200.0),)),
        sites=(site(price=RISING, base_kw=1.0, pue=1.2),),
        reserves=(
            ReserveProduct(
                "slow", ("A",), (_block(3, 5), _block(5, 8)), 0.5, 9, 1.0, activation_s=300.0
            ),
            ReserveProduct(
                "fast", ("A",), (_block(0, 1), _block(1, 3)), 0.5, 9, 0.0, activation_s=10.0
            ),
        ),
    ),
    "energy bought ahead in the dear hours": problem(
        job(work=3, points=CAPS, is_elastic=True),
        sites=(site(price=RISING, base_kw=1.0, storage=(battery(wear_eur_per_kwh=0.01),)),),
        positions=(
            Position("day ahead", ("A",), (None, 1, 1, 2, 2, 3, 3, None), (0.02,) * 8, (0.05,) * 8),
        ),
    ),
    "sun at noon, idle GPUs, and heat": _at(
        ALTERNATING,
        job(work=3, pausing=FREE),
        pue=1.4,
        pools=(pool(idle_kw_per_gpu=0.2),),
        renewables=(solar((0, 0, 1, 4, 5, 2, 0, 0)),),
    ),
    "carbon budget that does not suffice": problem(
        job(work=3),
        sites=(site(grid=grid(RISING, carbon=FALLING)),),
        ceilings=Ceilings(carbon_budget_kg=0.1),
    ),
    "cost ceiling that does not suffice": problem(
        job(work=3),
        sites=(site(grid=grid(RISING, carbon=FALLING)),),
        weights=Weights(carbon_eur_per_t=1000.0),
        ceilings=Ceilings(cost_ceiling_eur=0.05),
    ),
    "burning pays only under the ceiling": problem(
        sites=(
            site(
                base_kw=1.0,
                grid=grid(-20.0, carbon=300.0),
                storage=(battery(charge_efficiency=0.5, wear_eur_per_kwh=0.001),),
            ),
        ),
        weights=Weights(carbon_eur_per_t=1000.0),
        ceilings=Ceilings(cost_ceiling_eur=-2.0),
    ),
}

CORNERS: dict[str, Problem] = JOBS | ENERGY
