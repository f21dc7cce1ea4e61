"""What is decided now, and the problem that is left once it is.

Jobs that begin early are taken out of the problem: their GPUs are gone, their power is base load.
What is left is an ordinary problem in which all others begin later, so whatever solves, bounds and
explains a problem does so here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optimizer.jobs import Job
from optimizer.pieces import Links, links_of, transfer_to
from optimizer.plan import Placement
from optimizer.pledges import shed_by_jobs, with_shed_load
from optimizer.problem import Problem
from optimizer.settlement import Floats, add_it_load, gpus_used, own_costs
from optimizer.sites import Site


def begin_slot(problem: Problem, job: Job, placement: Placement, links: Links) -> int:
    """Slot in which ``placement`` first does anything: its data transfer, or its first run."""
    transfer = transfer_to(job, placement.site, links, problem.horizon.slot_hours)
    return placement.start_slot - (0 if transfer is None else transfer.n_slots)


def first_placements(
    problem: Problem, placements: Sequence[Placement], first_slots: int
) -> tuple[Placement, ...]:
    """Return those of ``placements`` that begin before ``first_slots``."""
    jobs, links = {job.name: job for job in problem.jobs}, links_of(problem)
    return tuple(
        placed
        for placed in placements
        if begin_slot(problem, jobs[placed.job], placed, links) < first_slots
    )


def what_is_left(problem: Problem, first: Sequence[Placement], first_slots: int) -> Problem:
    """Return ``problem`` with ``first`` decided: all other jobs begin in ``first_slots`` or later.

    A pinned job keeps its pin. Costs of ``first`` that are not energy are not in it.
    """
    jobs = {job.name: job for job in problem.jobs}
    links, hours = links_of(problem), problem.horizon.slot_hours
    ends = {placed.job: placed.end_slot for placed in first}
    load = {site.name: np.zeros(problem.horizon.n_slots) for site in problem.sites}
    money = 0.0
    for placed in first:
        add_it_load(load[placed.site], jobs[placed.job], placed, links, hours)
        own = own_costs(jobs[placed.job], placed, links, hours)
        money += own.restarts_eur + own.data_transfer_eur
    used, shed = gpus_used(problem, first), shed_by_jobs(problem, first)
    ceiling = problem.ceilings.cost_ceiling_eur
    return replace(
        problem,
        sites=tuple(
            with_shed_load(_left_at(site, load[site.name], used), shed[site.name])
            for site in problem.sites
        ),
        jobs=tuple(_later(job, ends, first_slots) for job in problem.jobs if job.name not in ends),
        ceilings=replace(
            problem.ceilings, cost_ceiling_eur=None if ceiling is None else ceiling - money
        ),
    )


def _left_at(site: Site, it_kw: Floats, used: dict[tuple[str, str], Floats]) -> Site:
    load = np.asarray(site.base_load_kw) + np.asarray(site.pue) * it_kw
    pools = tuple(
        replace(
            pool,
            gpus=tuple(
                np.maximum(0.0, np.asarray(pool.gpus) - used[site.name, pool.name]).tolist()
            ),
        )
        for pool in site.pools
    )
    return replace(site, base_load_kw=tuple(load.tolist()), pools=pools)


def _later(job: Job, ends: dict[str, int], first_slots: int) -> Job:
    release = max([job.release_slot, *(ends[name] for name in job.after if name in ends)])
    after = tuple(name for name in job.after if name not in ends)
    if job.pin is None:
        release = max(release, first_slots)
    return replace(job, release_slot=release, after=after)
