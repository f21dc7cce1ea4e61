"""Why a job stands where it stands: what it costs there, and what every alternative would.

Costs are at the plan's slot prices (what one more kWh or GPU-hour would cost everybody), or at what
imported energy costs where the plan has none. Carbon is that of imported energy at the intensity of
the site and slot. The rest of the plan is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from optimizer.alternatives import FilledPlan, Stand, blocked_by, earliest, free_offer, open_offer
from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import transfer_to, usable_points
from optimizer.placements.priced import Offer, Window, cheapest_at
from optimizer.plan import Placement, Plan
from optimizer.problem import Problem

_SAME_EUR = 0.005
"""Costs closer than half a cent are called the same."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another way to run the job, against the one in the plan.

    Attributes
    ----------
    what
        Which question it answers, e.g. ``"at site FR"``, ``"as early as possible"``.
    start_slot, end_slot, extra_eur, extra_kg
        ``None`` where the job cannot run like this at all.
    extra_eur, extra_kg
        Cost and carbon beyond those of the plan's choice; negative where it would be less.
    blocked_by
        What stands against it; empty where it could be had.
    """

    what: str
    site: str
    point: str
    start_slot: int | None
    end_slot: int | None
    extra_eur: float | None
    extra_kg: float | None
    blocked_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """A job's placement, its cost and carbon, the alternatives, and the gist in plain English.

    ``placement`` is ``None`` for an unserved job; its cost is then what leaving it out costs.
    ``at_slot_prices`` is False where the plan has none and import prices had to do.
    """

    job: str
    placement: Placement | None
    cost_eur: float
    carbon_kg: float
    at_slot_prices: bool
    alternatives: tuple[Alternative, ...]
    reason: str


def _plain_slot(slot: int) -> str:
    return f"slot {slot}"


def explain(
    problem: Problem, plan: Plan, job_name: str, name_slot: Callable[[int], str] = _plain_slot
) -> Explanation:
    """Explain where ``plan`` puts one job.

    Parameters
    ----------
    name_slot
        How to write the start of a slot in sentences, for example as a time of day.

    Raises
    ------
    KeyError
        The problem has no such job.
    """
    return Explainer.of(problem, plan).explain(job_name, name_slot)


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explains one job of a plan after another; setting it up costs as much as many of them."""

    plan: Plan
    jobs: Mapping[str, Job]
    filled: FilledPlan

    @classmethod
    def of(cls, problem: Problem, plan: Plan) -> Explainer:
        """Get ready for the jobs of ``problem``."""
        jobs = {job.name: job for job in problem.jobs}
        return cls(plan, jobs, FilledPlan.of(problem, plan))

    def explain(self, job_name: str, name_slot: Callable[[int], str] = _plain_slot) -> Explanation:
        """Explain one job; see ``explain``."""
        job = self.jobs[job_name]
        with self.filled.without(job, name_slot) as stand:
            alternatives = tuple(_distinct(stand, _alternatives(stand)))
            return Explanation(
                job=job.name,
                placement=stand.placement,
                cost_eur=stand.cost_eur,
                carbon_kg=stand.carbon_kg,
                at_slot_prices=self.plan.prices is not None,
                alternatives=alternatives,
                reason=_reason(stand, self.plan, alternatives),
            )


def _alternatives(stand: Stand) -> Iterator[Alternative]:
    job = stand.job
    if job.pin is not None:
        return
    links, hours = stand.room.links, stand.room.problem.horizon.slot_hours
    for site in job.sites:
        points = tuple(point for point in job.points if point.site == site)
        if transfer_to(job, site, links, hours) is None:
            yield _impossible(f"at site {site}", points[0], "no link brings its data there")
        else:
            yield from _best(stand, f"at site {site}", points)
    used = {run.point for run in stand.placement.runs} if stand.placement else set()
    for point in usable_points(job, links, hours):
        if point.name not in used:
            yield from _best(stand, f"at operating point {point.name}", (point,))
    soonest = earliest(stand, Window(0, job.deadline_slot), is_alone=True)
    is_later = stand.placement is None or (
        soonest is not None and soonest.start_slot < stand.placement.start_slot
    )
    if soonest is not None and is_later:
        yield _against(stand, "as early as possible", soonest)
        windows = stand.windows()
        free = earliest(stand, windows, is_alone=False) if windows else None
        if free is not None and blocked_by(stand, soonest):
            yield _against(stand, "as early as there is room", free)


def _best(stand: Stand, what: str, points: tuple[OperatingPoint, ...]) -> Iterator[Alternative]:
    """Yield the cheapest that could be had, and a blocked one that would beat the plan's choice."""
    window = stand.windows()
    free = _cheapest(stand, points, free_offer(stand), window) if window else None
    anywhere = _cheapest(stand, points, open_offer(stand), Window(0, stand.job.deadline_slot))
    if anywhere is None:
        yield _impossible(what, points[0], "its window is too short there")
        return
    if free is not None:
        yield _against(stand, what, free)
    wish = _against(stand, what, anywhere)
    would_beat = wish.extra_eur is not None and wish.extra_eur < -_SAME_EUR
    if free is None or (would_beat and wish.blocked_by):
        yield wish


def _cheapest(
    stand: Stand, points: tuple[OperatingPoint, ...], offer: Offer, window: Window
) -> Placement | None:
    found = (cheapest_at(stand.room.problem, stand.job, point, offer, window) for point in points)
    best = min((p for p in found if p is not None), key=lambda p: p.cost_eur, default=None)
    return best.placement if best is not None else None


def _against(stand: Stand, what: str, placement: Placement) -> Alternative:
    """Compare ``placement`` with the plan's choice."""
    return Alternative(
        what,
        placement.site,
        placement.runs[0].point,
        placement.start_slot,
        placement.end_slot,
        stand.cost_of(placement) - stand.cost_eur,
        stand.carbon_of(placement) - stand.carbon_kg,
        blocked_by(stand, placement),
    )


def _impossible(what: str, point: OperatingPoint, why: str) -> Alternative:
    return Alternative(what, point.site, point.name, None, None, None, None, (why,))


def _distinct(stand: Stand, alternatives: Iterator[Alternative]) -> Iterator[Alternative]:
    """Leave out what is the plan's own choice, and what was said before."""
    seen: set[tuple[str, int | None, int | None]] = set()
    if stand.placement is not None:
        place = stand.placement
        seen.add((place.runs[0].point, place.start_slot, place.end_slot))
    for other in alternatives:
        key = (other.point, other.start_slot, other.end_slot)
        if key not in seen:
            seen.add(key)
            yield other


def _reason(stand: Stand, plan: Plan, alternatives: tuple[Alternative, ...]) -> str:
    """Say in a few sentences what decides where the job stands."""
    name_slot = stand.name_slot
    sentences = [_where(stand, plan)]
    if stand.job.pin is not None:
        sentences.append("It is committed to this place already, so there is nothing to choose.")
    possible = [a for a in alternatives if not a.blocked_by and a.extra_eur is not None]
    wished = [a for a in alternatives if a.blocked_by and (a.extra_eur or 0.0) < -_SAME_EUR]
    soonest = next((a for a in alternatives if a.what == "as early as possible"), None)
    if soonest is not None and soonest.start_slot is not None:
        sentences.append(_compare("The earliest possible start", soonest, name_slot))
    others = [a for a in possible if a is not soonest]
    if others:
        best = min(others, key=lambda a: a.extra_eur or 0.0)
        sentences.append(_compare("The best other place that is free", best, name_slot))
    if wished:
        best = min(wished, key=lambda a: a.extra_eur or 0.0)
        if best is not soonest:
            sentences.append(_compare("What would be better", best, name_slot))
    never = [a for a in alternatives if a.start_slot is None]
    sentences += [f"It cannot run {a.what}: {a.blocked_by[0]}." for a in never]
    return " ".join(sentences)


def _where(stand: Stand, plan: Plan) -> str:
    prices = "the plan's slot prices" if plan.prices is not None else "import prices"
    if stand.placement is None:
        why = next((u.reason for u in plan.unserved if u.job == stand.job.name), "not planned")
        verb = "deferred" if stand.job.can_wait else "not served"
        return f"{stand.job.name} is {verb}: {why}. This costs {stand.cost_eur:.2f} EUR."
    place = stand.placement
    intensity = stand.room.problem.carbon_intensity_name
    return (
        f"{stand.job.name} runs at {place.site} from {stand.name_slot(place.start_slot)} until"
        f" {stand.name_slot(place.end_slot)}, which costs {stand.cost_eur:.2f} EUR at {prices} and"
        f" emits {stand.carbon_kg:.1f} kg CO2 ({intensity} intensity)."
    )


def _compare(what: str, other: Alternative, name_slot: Callable[[int], str]) -> str:
    """Write one alternative as a sentence."""
    start = name_slot(other.start_slot) if other.start_slot is not None else "no slot"
    extra_eur, extra_kg = other.extra_eur or 0.0, other.extra_kg or 0.0
    money = (
        "about the same"
        if abs(extra_eur) < _SAME_EUR
        else f"{abs(extra_eur):.2f} EUR {'more' if extra_eur > 0 else 'less'}"
    )
    carbon = f"{abs(extra_kg):.1f} kg CO2 {'more' if extra_kg >= 0 else 'less'}"
    sentence = (
        f"{what}, {start} at {other.site} ({other.point}), would cost {money} and emit {carbon}"
    )
    if other.blocked_by:
        sentence += f", but {'; '.join(other.blocked_by)}"
    return sentence + "."
