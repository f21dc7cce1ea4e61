"""Why a job stands where it stands: what it costs there, and what every alternative would.

Costs are at the plan's slot prices (what one more kWh or GPU-hour would cost everybody), or at what
imported energy costs where the plan has none. Carbon is that of imported energy at the intensity of
the site and slot. The rest of the plan is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from optimizer.alternatives import FilledPlan, Stand, blocked_by, earliest, free_offer, open_offer
from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import transfer_to, usable_points
from optimizer.placements.priced import Offer, Priced, Window, cheapest_each
from optimizer.plan import KeptEarly, Placement, Plan
from optimizer.problem import Problem

_SAME_EUR = 0.005
"""Costs closer than half a cent are called the same."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another way to run the job, against the one in the plan.

    Attributes
    ----------
    what
        Which question it answers, e.g. ``"at site FR"``, ``"at another time"``: its operating
        point with another start; ``"as early as possible"``.
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
            asked = _Asked(stand, stand.cost_eur, stand.carbon_kg)
            alternatives = tuple(_distinct(stand, _alternatives(asked)))
            return Explanation(
                job=job.name,
                placement=stand.placement,
                cost_eur=asked.cost_eur,
                carbon_kg=asked.carbon_kg,
                at_slot_prices=self.plan.prices is not None,
                alternatives=alternatives,
                reason=_reason(asked, self.plan, alternatives),
            )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A job that is explained, and what its place in the plan costs and emits."""

    stand: Stand
    cost_eur: float
    carbon_kg: float

    def against(
        self, what: str, placement: Placement, cost_eur: float, *, is_free: bool = False
    ) -> Alternative:
        """Compare ``placement``, which costs ``cost_eur``, with the plan's choice."""
        stand = self.stand
        return Alternative(
            what,
            placement.site,
            placement.runs[0].point,
            placement.start_slot,
            placement.end_slot,
            cost_eur - self.cost_eur,
            stand.carbon_of(placement) - self.carbon_kg,
            () if is_free else blocked_by(stand, placement),
        )


@dataclass(frozen=True, slots=True)
class _Ways:
    """The cheapest placement at each point, by its name: in the room there is, and anywhere."""

    free: Mapping[str, Priced]
    anywhere: Mapping[str, Priced]

    @classmethod
    def of(
        cls, stand: Stand, points: Sequence[OperatingPoint], *, barred_start: int | None = None
    ) -> _Ways:
        problem = stand.room.problem

        def cheapest(offer: Offer, window: Window | None) -> dict[str, Priced]:
            if window is None:
                return {}
            (found,) = cheapest_each(
                problem, stand.job, points, offer, window, barred_start=barred_start
            )
            pairs = zip(points, found, strict=True)
            return {point.name: priced for point, priced in pairs if priced is not None}

        always = Window(0, stand.job.deadline_slot)
        return cls(
            cheapest(free_offer(stand), stand.windows()), cheapest(open_offer(stand), always)
        )


def _alternatives(asked: _Asked) -> Iterator[Alternative]:
    stand, job = asked.stand, asked.stand.job
    if job.pin is not None:
        return
    links, hours = stand.room.links, stand.room.problem.horizon.slot_hours
    usable = usable_points(job, links, hours)
    ways = _Ways.of(stand, usable)
    for site in job.sites:
        points = tuple(point for point in job.points if point.site == site)
        if transfer_to(job, site, links, hours) is None:
            yield _impossible(f"at site {site}", points[0], "no link brings its data there")
        else:
            yield from _best(asked, f"at site {site}", points, ways)
    used = {run.point for run in stand.placement.runs} if stand.placement else set()
    for point in usable:
        if point.name not in used:
            yield from _best(asked, f"at operating point {point.name}", (point,), ways)
    if stand.placement is not None and len(used) == 1:
        start = stand.placement.start_slot
        here = (job.point(stand.placement.runs[0].point),)
        others = _Ways.of(stand, here, barred_start=start)
        if others.anywhere:
            yield from _best(asked, "at another time", here, others)
    yield from _sooner(asked)


def _sooner(asked: _Asked) -> Iterator[Alternative]:
    stand = asked.stand
    soonest = earliest(stand, Window(0, stand.job.deadline_slot), is_alone=True)
    if soonest is None:
        return
    if stand.placement is None or soonest.start_slot < stand.placement.start_slot:
        wish = asked.against("as early as possible", soonest, stand.cost_of(soonest))
        yield wish
        window = stand.windows()
        free = earliest(stand, window, is_alone=False) if window and wish.blocked_by else None
        if free is not None:
            cost_eur = stand.cost_of(free)
            yield asked.against("as early as there is room", free, cost_eur, is_free=True)


def _best(
    asked: _Asked, what: str, points: Sequence[OperatingPoint], ways: _Ways
) -> Iterator[Alternative]:
    """Yield the cheapest that could be had, and a blocked one that would beat the plan's choice."""
    free, anywhere = _cheapest(points, ways.free), _cheapest(points, ways.anywhere)
    if anywhere is None:
        yield _impossible(what, points[0], "its window is too short there")
        return
    if free is not None:
        yield asked.against(what, free.placement, free.cost_eur, is_free=True)
        if anywhere.cost_eur >= asked.cost_eur - _SAME_EUR:
            return
    wish = asked.against(what, anywhere.placement, anywhere.cost_eur)
    if free is None or wish.blocked_by:
        yield wish


def _cheapest(points: Sequence[OperatingPoint], priced: Mapping[str, Priced]) -> Priced | None:
    found = (priced[point.name] for point in points if point.name in priced)
    return min(found, key=lambda one: one.cost_eur, default=None)


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


def _reason(asked: _Asked, plan: Plan, alternatives: tuple[Alternative, ...]) -> str:
    """Say in a few sentences what decides where the job stands."""
    stand, name_slot = asked.stand, asked.stand.name_slot
    sentences = [_where(asked, plan)]
    if stand.job.pin is not None:
        sentences.append("It is committed to this place already, so there is nothing to choose.")
    sentences += [_kept(kept, name_slot) for kept in plan.kept_early if kept.job == stand.job.name]
    possible = [a for a in alternatives if not a.blocked_by and a.extra_eur is not None]
    wished = [a for a in alternatives if a.blocked_by and (a.extra_eur or 0.0) < -_SAME_EUR]
    soonest = next((a for a in alternatives if a.what == "as early as possible"), None)
    if soonest is not None and soonest.start_slot is not None:
        sentences.append(_compare("The earliest possible start", soonest, name_slot))
    others = [a for a in possible if a is not soonest]
    if others:
        best = min(others, key=lambda a: a.extra_eur or 0.0)
        sentences.append(_compare("The best other choice that is free", best, name_slot))
    if wished:
        best = min(wished, key=lambda a: a.extra_eur or 0.0)
        if best is not soonest:
            sentences.append(_compare("What would be better", best, name_slot))
    never = [a for a in alternatives if a.start_slot is None]
    sentences += [f"It cannot run {a.what}: {a.blocked_by[0]}." for a in never]
    return " ".join(sentences)


def _where(asked: _Asked, plan: Plan) -> str:
    stand = asked.stand
    prices = "the plan's slot prices" if plan.prices is not None else "import prices"
    if stand.placement is None:
        why = next((u.reason for u in plan.unserved if u.job == stand.job.name), "not planned")
        verb = "deferred" if stand.job.can_wait else "not served"
        return f"{stand.job.name} is {verb}: {why}. This costs {asked.cost_eur:.2f} EUR."
    place = stand.placement
    intensity = stand.room.problem.carbon_intensity_name
    return (
        f"{stand.job.name} runs at {place.site} from {stand.name_slot(place.start_slot)} until"
        f" {stand.name_slot(place.end_slot)}, which costs {asked.cost_eur:.2f} EUR at {prices} and"
        f" emits {asked.carbon_kg:.1f} kg CO2 ({intensity} intensity)."
    )


def _kept(kept: KeptEarly, name_slot: Callable[[int], str]) -> str:
    """Say why it does not wait."""
    later = f"{name_slot(kept.later_slot)} at {kept.later_site}"
    if kept.gain_eur <= _SAME_EUR / 10 and kept.error_eur <= _SAME_EUR / 10:
        return f"It does not wait until {later}, which would gain nothing."
    return (
        f"It does not wait until {later}: that would be expected to gain {kept.gain_eur:.3f} EUR,"
        f" which is within its error of {kept.error_eur:.3f} EUR."
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
