"""Verification: a sound plan passes, and corrupting it is refused by the name of what is wrong."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from typing import Any

import pytest

from optimizer.dispatch import settled_plan
from optimizer.errors import PlanRefused
from optimizer.plan import Placement, Plan, Run, Rung, SlotPrices, Unserved, Violation
from optimizer.problem import CapacityLimit, Problem
from optimizer.verify import Breach, require_verified, verify
from tests.optimizer import build
from tests.optimizer.build import plan_of


def names(breaches: tuple[Breach, ...]) -> set[str]:
    """Names of the limits broken."""
    return {breach.limit_name for breach in breaches}


def rich_problem() -> Problem:
    """One job, base load, PV, a battery, a generator, exports that pay, a broken capacity limit."""
    site = build.site(
        pue=1.5,
        base_kw=2.0,
        grid=build.grid(
            100.0, sell=40.0, fee=10.0, carbon=300.0, import_kw=[3, 9, 9, 9, 9, 9, 9, 9]
        ),
        renewables=(build.solar([0, 0, 0, 0, 6, 6, 0, 0]),),
        storage=(build.battery(soc_floor_kwh=12.0),),
        generators=(build.generator(),),
        peaks=(build.peak(),),
    )
    limit = CapacityLimit("dr-7", "A", 1, 2, 1.0, 3.0)
    jobs = (build.job(points=(build.point(power_kw=2.0),)), build.job("later", can_wait=True))
    return build.problem(*jobs, sites=[site], capacity_limits=(limit,))


RICH = rich_problem()
SOUND = plan_of(RICH, build.placed("job", ("A/full", 0, 2)))


def test_the_sound_plan_has_every_flow_and_passes() -> None:
    """Otherwise corrupting it would show little."""
    flow = SOUND.flows[0]
    assert verify(RICH, SOUND) == ()
    assert flow.import_kw[:2] == (3.0, 5.0)
    assert flow.generator_kw[0][:2] == (2.0, 0.0)
    assert flow.export_kw[4] == 4.0
    assert flow.renewable_kw[0][4] == 6.0
    assert {violation.kind for violation in SOUND.violations} == {"capacity_limit", "soc_floor"}


def with_flow(**changes: Any) -> Plan:
    """The sound plan with other flows, its terms and violations settled anew."""
    flow = replace(SOUND.flows[0], **changes)
    return settled_plan(RICH, Rung.GREEDY, SOUND.placements, SOUND.unserved, [flow])


def change(values: tuple[float, ...], slot: int, by: float) -> tuple[float, ...]:
    """``values`` with one slot changed."""
    return tuple(value + by * (i == slot) for i, value in enumerate(values))


def shifted(slot: int, **amounts: float) -> Plan:
    """The sound plan with these flows [kW or kWh] of one slot changed by so much."""
    flow = SOUND.flows[0]
    changed: dict[str, Any] = {}
    for field, by in amounts.items():
        values = getattr(flow, field)
        is_unit = bool(values) and isinstance(values[0], tuple)
        changed[field] = (change(values[0], slot, by),) if is_unit else change(values, slot, by)
    return with_flow(**changed)


CORRUPT_FLOWS: dict[str, tuple[str, Plan]] = {
    "power from nowhere": ("balance", shifted(3, import_kw=-1.0)),
    "load not the jobs'": ("it_load", shifted(3, it_load_kw=2.0, import_kw=3.0)),
    "import above the rating": ("import_limit", shifted(0, import_kw=2.0, generator_kw=-2.0)),
    "export above the rating": (
        "export_limit",
        shifted(6, export_kw=1001.0, shortfall_kw=1003.0, import_kw=-2.0),
    ),
    "import below zero": ("import_not_negative", shifted(6, import_kw=-3.0, shortfall_kw=3.0)),
    "export below zero": ("export_not_negative", shifted(6, import_kw=-1.0, export_kw=-1.0)),
    "shortfall below zero": (
        "shortfall_not_negative",
        shifted(6, import_kw=1.0, shortfall_kw=-1.0),
    ),
    "import and export at once": ("import_or_export", shifted(4, import_kw=1.0, export_kw=1.0)),
    "more sun than shines": ("available", shifted(5, renewable_kw=1.0, export_kw=1.0)),
    "sun below zero": ("output_not_negative", shifted(6, renewable_kw=-1.0, import_kw=1.0)),
    "energy in the battery from nowhere": ("soc_balance", shifted(7, soc_kwh=1.0)),
    "charge and discharge at once": (
        "charge_or_discharge",
        shifted(3, charge_kw=1.0, discharge_kw=1.0),
    ),
    "charge below zero": ("charge_not_negative", shifted(3, charge_kw=-1.0, discharge_kw=-1.0)),
    "discharge below zero": (
        "discharge_not_negative",
        shifted(3, charge_kw=-1.0, discharge_kw=-1.0),
    ),
    "generator above its rating": (
        "max",
        shifted(0, generator_kw=9.0, import_kw=-3.0, export_kw=6.0),
    ),
    "generator below its minimum": ("min_load", shifted(3, generator_kw=1.0, import_kw=-1.0)),
    "generator below zero": ("output_not_negative", shifted(3, generator_kw=-1.0, import_kw=1.0)),
}


@pytest.mark.parametrize(("limit", "plan"), CORRUPT_FLOWS.values(), ids=CORRUPT_FLOWS.keys())
def test_flows_that_cannot_be_are_refused_by_name(limit: str, plan: Plan) -> None:
    """Terms and violations are those of the corrupt flows, so nothing else gives it away."""
    assert limit in names(verify(RICH, plan))


@pytest.mark.parametrize(
    ("limit", "changes", "charge", "discharge", "soc"),
    [
        ("charge_max", {}, [12, 0, 0, 0], [0] * 4, [12, 12, 12, 12]),
        ("discharge_max", {"soc_initial_kwh": 15.0}, [0] * 4, [11, 0, 0, 0], [4] * 4),
        ("capacity", {}, [10, 10, 3, 0], [0] * 4, [10, 20, 23, 23]),
        ("soc_not_negative", {}, [0] * 4, [10, 0, 0, 0], [-10] * 4),
    ],
)
def test_a_battery_keeps_its_ratings(
    limit: str, changes: dict[str, float], charge: Any, discharge: Any, soc: Any
) -> None:
    """Its dynamics hold in every case; only the rating does not."""
    unit = build.battery(**({"soc_initial_kwh": 0.0} | changes))
    problem = build.problem(
        sites=[build.site(n_slots=4, base_kw=50.0, storage=(unit,))], slots=build.horizon(4)
    )
    imports = [50 + c - d for c, d in zip(charge, discharge, strict=True)]
    flow = build.flows(
        "A", 4, import_kw=imports, charge_kw=[charge], discharge_kw=[discharge], soc_kwh=[soc]
    )
    plan = settled_plan(problem, Rung.GREEDY, (), (), [flow])
    assert limit in names(verify(problem, plan))


def test_efficiencies_count_one_way_each() -> None:
    """10 kWh in at 0.8 store 8; 4 kWh out at 0.5 take 8."""
    unit = build.battery(soc_initial_kwh=0.0, charge_efficiency=0.8, discharge_efficiency=0.5)
    problem = build.problem(
        sites=[build.site(n_slots=2, base_kw=50.0, storage=(unit,))], slots=build.horizon(2)
    )
    flow = build.flows(
        "A", 2, import_kw=[60, 46], charge_kw=[[10, 0]], discharge_kw=[[0, 4]], soc_kwh=[[8, 0]]
    )
    assert verify(problem, settled_plan(problem, Rung.GREEDY, (), (), [flow])) == ()


TERMS = [name for name in type(SOUND.terms).__dataclass_fields__ if name != "churned_jobs"]


@pytest.mark.parametrize("term", [*TERMS, "churned_jobs"])
def test_every_term_is_recomputed(term: str) -> None:
    """A plan that claims another figure on one line is refused by that line's name."""
    wrong = replace(SOUND.terms, **{term: getattr(SOUND.terms, term) + 1})
    breaches = verify(RICH, replace(SOUND, terms=wrong))
    assert [(b.owner, b.limit_name, round(b.amount, 9)) for b in breaches] == [("plan", term, 1.0)]


VIOLATION = SOUND.violations[0]
MISSTATED: dict[str, tuple[str, dict[str, Any]]] = {
    "objective": ("objective", {"objective": SOUND.objective - 1.0}),
    "bound above the objective": ("bound", {"bound": SOUND.objective + 1.0}),
    "a violation left out": ("violations", {"violations": SOUND.violations[1:]}),
    "a violation too small": (
        "violations",
        {"violations": (replace(VIOLATION, amount=0.1), *SOUND.violations[1:])},
    ),
    "a violation named twice": ("violations", {"violations": (VIOLATION, *SOUND.violations)}),
    "a violation that did not happen": (
        "violations",
        {
            "violations": (
                *SOUND.violations,
                Violation("shortfall", "site A", 0, 1.0, "kW", 0.0, 100.0),
            )
        },
    ),
    "deferred called unserved": (
        "deferred",
        {"unserved": (Unserved("later", "left out", is_deferred=False),)},
    ),
    "a job left out": ("planned_once", {"unserved": ()}),
    "a job both placed and unserved": (
        "planned_once",
        {"unserved": (*SOUND.unserved, Unserved("job", "also"))},
    ),
    "a job placed twice": ("planned_once", {"placements": SOUND.placements * 2}),
    "an unknown job": (
        "known_job",
        {"placements": (*SOUND.placements, build.placed("ghost", ("A/full", 0, 2)))},
    ),
    "an unknown point": ("known_point", {"placements": (build.placed("job", ("A/warp", 0, 2)),)}),
    "an unknown site": (
        "known_site",
        {"placements": (Placement("job", "Atlantis", (Run("A/full", 0, 2),)),)},
    ),
    "a placement without runs": ("runs", {"placements": (Placement("job", "A", ()),)}),
    "a slot that is no number": (
        "runs",
        {"placements": (build.placed("job", ("A/full", 0, math.nan)),)},  # type: ignore[arg-type]
    ),
    "a start before the horizon": (
        "runs_in_order",
        {"placements": (build.placed("job", ("A/full", -1, 1)),)},
    ),
    "no flows": ("flows_of_each_site", {"flows": ()}),
    "flows of another site": (
        "flows_of_each_site",
        {"flows": (replace(SOUND.flows[0], site="B"),)},
    ),
    "a battery missing": (
        "units of soc_kwh",
        {"flows": (replace(SOUND.flows[0], soc_kwh=()),)},
    ),
    "a slot missing": (
        "length of import_kw",
        {"flows": (replace(SOUND.flows[0], import_kw=(0.0,) * 7),)},
    ),
    "an import that is no number": (
        "finite import_kw",
        {"flows": (replace(SOUND.flows[0], import_kw=(math.nan,) * 8),)},
    ),
    "an objective that is no number": ("finite objective", {"objective": math.nan}),
    "a bound that is no number": ("finite bound", {"bound": math.inf}),
    "a term that is no number": (
        "finite peak_eur",
        {"terms": replace(SOUND.terms, peak_eur=math.nan)},
    ),
    "an import that is text": (
        "finite import_kw",
        {"flows": (replace(SOUND.flows[0], import_kw=("0.0",) * 8),)},  # type: ignore[arg-type]
    ),
    "an objective that is text": ("finite objective", {"objective": "0.0"}),
    "prices for another fleet": ("prices_of_each_pool", {"prices": SlotPrices((), ())}),
    "prices for another horizon": (
        "length of prices",
        {"prices": SlotPrices(((0.0,) * 7,), (((0.0,) * 8,),))},
    ),
}


@pytest.mark.parametrize(("limit", "changes"), MISSTATED.values(), ids=MISSTATED.keys())
def test_a_plan_that_misstates_itself_is_refused_by_name(
    limit: str, changes: dict[str, Any]
) -> None:
    """Nothing in a plan can make verification raise; it is refused instead."""
    assert names(verify(RICH, replace(SOUND, **changes))) == {limit}


def test_a_bound_at_the_objective_is_accepted() -> None:
    """That is what an optimum looks like."""
    assert verify(RICH, replace(SOUND, bound=SOUND.objective)) == ()


@pytest.mark.parametrize(("noise", "is_accepted"), [(1e-7, True), (1e-3, False)])
def test_rounding_of_a_solver_is_accepted_and_more_is_not(noise: float, is_accepted: bool) -> None:
    """A tenth of a milliwatt may be missing, a watt may not."""
    assert (verify(RICH, shifted(3, import_kw=-noise)) == ()) is is_accepted


def test_require_verified_raises_with_every_breach() -> None:
    """The error names them in words, and survives the way to another process."""
    require_verified(RICH, SOUND)
    with pytest.raises(PlanRefused, match="plan breaks objective by 1 EUR") as caught:
        require_verified(RICH, replace(SOUND, objective=SOUND.objective + 1.0))
    assert caught.value.breaches == pickle.loads(pickle.dumps(caught.value)).breaches  # noqa: S301


@pytest.mark.parametrize(
    ("breach", "text"),
    [
        (
            Breach("job a", "deadline", 5, 2.0, "slots"),
            "job a breaks deadline in slot 5 by 2 slots",
        ),
        (Breach("plan", "objective", None, 0.5, "EUR"), "plan breaks objective by 0.5 EUR"),
        (
            Breach("job a", "known_point", None, math.nan, "it has no operating point x"),
            "job a breaks known_point: it has no operating point x",
        ),
    ],
)
def test_a_breach_reads_as_a_sentence(breach: Breach, text: str) -> None:
    """Who, what, when, by how much."""
    assert str(breach) == text


def test_flows_need_all_sites_in_order() -> None:
    """Two sites swapped are not the problem's."""
    problem = build.problem(sites=[build.site("A"), build.site("B")])
    plan = plan_of(problem)
    assert names(verify(problem, replace(plan, flows=plan.flows[::-1]))) == {"flows_of_each_site"}


def test_unknown_jobs_are_named_in_order() -> None:
    """The same plan gives the same report in every process."""
    strangers = tuple(Unserved(f"stranger {k}", "") for k in (3, 1, 2))
    broken = verify(build.problem(), replace(build.plan_of(build.problem()), unserved=strangers))
    assert [b.owner for b in broken] == [f"job stranger {k}" for k in (1, 2, 3)]
