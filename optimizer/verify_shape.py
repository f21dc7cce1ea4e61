"""Verification, first part: a plan is whole and readable, so that its limits can be recomputed."""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from numbers import Real

from optimizer.breach import Breach
from optimizer.jobs import Job
from optimizer.plan import Placement, Plan, SiteFlows
from optimizer.problem import Problem
from optimizer.sites import Site


def shape_breaches(problem: Problem, plan: Plan) -> tuple[Breach, ...]:
    """Jobs not named exactly once, unknown names, runs out of order, wrong lengths, NaN."""
    return (
        *_each_job_once(problem, plan),
        *_placements(problem, plan),
        *_flows(problem, plan),
        *_answers(problem, plan),
        *_reserves(problem, plan),
        *_numbers(plan),
        *_prices(problem, plan),
    )


def _wrong(owner: str, limit_name: str, what: str, slot: int | None = None) -> Breach:
    """Return a breach without an amount: ``what`` is wrong."""
    return Breach(owner, limit_name, slot, math.nan, what)


def _each_job_once(problem: Problem, plan: Plan) -> Iterator[Breach]:
    named = [placement.job for placement in plan.placements]
    named += [unserved.job for unserved in plan.unserved]
    times = Counter(named)
    known = {job.name for job in problem.jobs}
    for name in sorted(times.keys() - known):
        yield _wrong(f"job {name}", "known_job", "the problem has no such job")
    for job in problem.jobs:
        if times[job.name] != 1:
            extra = float(abs(times[job.name] - 1))
            yield Breach(f"job {job.name}", "planned_once", None, extra, "times too many or few")


def _placements(problem: Problem, plan: Plan) -> Iterator[Breach]:
    jobs = {job.name: job for job in problem.jobs}
    sites = {site.name for site in problem.sites}
    for placement in plan.placements:
        if placement.job not in jobs:
            continue
        owner = f"job {placement.job}"
        if placement.site not in sites:
            yield _wrong(owner, "known_site", f"the problem has no site {placement.site}")
        if not placement.runs:
            yield _wrong(owner, "runs", "it is placed without a run")
        yield from _runs(jobs[placement.job], placement, problem.horizon.n_slots)


def _runs(job: Job, placement: Placement, n_slots: int) -> Iterator[Breach]:
    owner = f"job {job.name}"
    known = {point.name for point in job.points}
    free_from = 0
    for run in placement.runs:
        if run.point not in known:
            yield _wrong(owner, "known_point", f"it has no operating point {run.point}")
        if not (_is_whole(run.start_slot) and _is_whole(run.end_slot)):
            yield _wrong(owner, "runs", "a slot is not a whole number")
            return
        if run.start_slot < free_from:
            early = float(free_from - run.start_slot)
            yield Breach(owner, "runs_in_order", run.start_slot, early, "slots")
        if run.end_slot <= run.start_slot:
            missing = float(run.start_slot + 1 - run.end_slot)
            yield Breach(owner, "runs_not_empty", run.start_slot, missing, "slots")
        if run.end_slot > n_slots:
            yield Breach(owner, "horizon", n_slots, float(run.end_slot - n_slots), "slots")
        free_from = run.end_slot


def _is_whole(slot: int) -> bool:
    """Whether a slot can be counted with, whatever a plan read from elsewhere has there."""
    try:
        operator.index(slot)
    except TypeError:
        return False
    return True


def _flows(problem: Problem, plan: Plan) -> Iterator[Breach]:
    stated = tuple(flow.site for flow in plan.flows)
    expected = tuple(site.name for site in problem.sites)
    if stated != expected:
        yield _wrong("plan", "flows_of_each_site", f"flows of {stated}, not of {expected}")
        return
    for site, flow in zip(problem.sites, plan.flows, strict=True):
        for name, n_units in _units(site).items():
            stated_units = len(getattr(flow, name))
            if stated_units != n_units:
                off = float(abs(stated_units - n_units))
                yield Breach(f"site {site.name}", f"units of {name}", None, off, "units")
        for name, values in _named_series(flow):
            yield from _series(f"site {site.name}", name, values, problem.horizon.n_slots)


def _answers(problem: Problem, plan: Plan) -> Iterator[Breach]:
    """Only events that may be declined are, each once, and by all the sites it asks or by none."""
    optional = {event.name: event for event in problem.events if event.may_be_declined}
    by_name: dict[str, list[str]] = {}
    for flow in plan.flows:
        for name in flow.declined:
            by_name.setdefault(name, []).append(flow.site)
    for name, sites in by_name.items():
        if name not in optional:
            yield _wrong(f"event {name}", "may_be_declined", "no such event may be declined")
        elif sorted(sites) != sorted(optional[name].sites):
            asked = ", ".join(optional[name].sites)
            yield _wrong(f"event {name}", "one_answer", f"not all of {asked} decline it, once each")


def _reserves(problem: Problem, plan: Plan) -> Iterator[Breach]:
    """Each share is of a known product and source of its site, once, and as long as the horizon."""
    sites = {site.name: site for site in problem.sites}
    products = {product.name: product for product in problem.reserves}
    for flow in plan.flows:
        units = {unit.name for unit in sites[flow.site].storage} if flow.site in sites else set()
        times = Counter((share.product, share.source) for share in flow.reserves)
        for share in flow.reserves:
            owner = f"reserve {share.product} at {flow.site}"
            product = products.get(share.product)
            if product is None or flow.site not in product.sites:
                yield _wrong(owner, "known_reserve", "no such reserve is held there")
            if share.source and share.source not in units:
                yield _wrong(owner, "known_source", f"the site has no battery {share.source}")
            if times[share.product, share.source] > 1:
                yield _wrong(owner, "held_once", "a source is named twice")
            for name in ("up_kw", "down_kw"):
                yield from _series(owner, name, getattr(share, name), problem.horizon.n_slots)


def _units(site: Site) -> dict[str, int]:
    """How many units each flow of a site must list."""
    n_storage = len(site.storage)
    return {
        "renewable_kw": len(site.renewables),
        "charge_kw": n_storage,
        "discharge_kw": n_storage,
        "soc_kwh": n_storage,
        "generator_kw": len(site.generators),
    }


def _named_series(flow: SiteFlows) -> Iterator[tuple[str, Sequence[float]]]:
    for name in ("it_load_kw", "import_kw", "export_kw", "shortfall_kw"):
        yield name, getattr(flow, name)
    for name in ("renewable_kw", "charge_kw", "discharge_kw", "soc_kwh", "generator_kw"):
        for unit, values in enumerate(getattr(flow, name)):
            yield f"{name}[{unit}]", values


def _series(owner: str, name: str, values: Sequence[float], n_slots: int) -> Iterator[Breach]:
    if len(values) != n_slots:
        yield Breach(owner, f"length of {name}", None, float(abs(len(values) - n_slots)), "slots")
    for slot, value in enumerate(values):
        if not _is_finite(value):
            yield _wrong(owner, f"finite {name}", f"it is {value!r}", slot)


def _is_finite(value: object) -> bool:
    """Whether a value can be reckoned with, whatever a plan read from elsewhere has there."""
    return isinstance(value, Real) and math.isfinite(value)


def _numbers(plan: Plan) -> Iterator[Breach]:
    stated: dict[str, float] = {"objective": plan.objective}
    stated |= {f.name: getattr(plan.terms, f.name) for f in fields(plan.terms)}
    if plan.bound is not None:
        stated["bound"] = plan.bound
    for violation in plan.violations:
        for name in ("amount", "limit", "penalty_eur"):
            stated[f"{violation.kind} {violation.owner} {name}"] = getattr(violation, name)
    for name, value in stated.items():
        if not _is_finite(value):
            yield _wrong("plan", f"finite {name}", f"it is {value!r}")


def _prices(problem: Problem, plan: Plan) -> Iterator[Breach]:
    if plan.prices is None:
        return
    it_prices, gpu_prices = plan.prices.it_eur_per_kwh, plan.prices.gpu_eur_per_gpu_hour
    expected = [len(site.pools) for site in problem.sites]
    if len(it_prices) != len(expected) or [len(pools) for pools in gpu_prices] != expected:
        yield _wrong("plan", "prices_of_each_pool", "prices are not one per site and pool")
        return
    listed: Iterable[Sequence[float]] = (*it_prices, *(p for pools in gpu_prices for p in pools))
    for values in listed:
        yield from _series("plan", "prices", values, problem.horizon.n_slots)
