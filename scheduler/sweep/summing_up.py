"""Cases summed up: one line for each region and policy, the mean over its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scheduler.backtest.accounts import Share
from scheduler.backtest.comparing import Paid
from scheduler.specs.backtest import BacktestSpec
from scheduler.sweep.cases import Case
from scheduler.sweep.collecting import read_table
from scheduler.sweep.result import CaseResult, SiteResult

CaseKey = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One policy in one region, the mean over its seeds; savings are against the baseline.

    Cost and carbon are with what the baseline had of jobs that were not done; ``None``: the
    baseline of a seed is not there yet.
    """

    region: str
    policy: str
    cost_eur: float
    carbon_kg: float
    saved_eur: float | None
    saved_kg: float | None
    saved_eur_share: float | None
    saved_kg_share: float | None
    used_kwh: float
    highest_import_kw: float
    gpu_share: float
    wait_mean_h: float
    wait_p95_h: float
    n_late: float
    n_not_done: float
    lost_hours: float
    n_plans: float
    n_refused: float
    worst_error: float
    is_sound: bool


def summed_up(
    spec: BacktestSpec, cases: Sequence[Case], results: Sequence[CaseResult]
) -> tuple[Line, ...]:
    """Return a line for each region and policy of which a case is done, in the order given."""
    paid = _paid(spec, cases, results)
    lines = []
    for region in spec.regions:
        for policy in spec.policies:
            of_both = [
                it for it in results if (it.region, it.policy) == (region.name, policy.label)
            ]
            if of_both:
                lines.append(_line(of_both, paid, spec.baseline))
    return tuple(lines)


def _paid(
    spec: BacktestSpec, cases: Sequence[Case], results: Sequence[CaseResult]
) -> dict[CaseKey, Paid]:
    """Return what each case is taken to have paid."""
    baselines = {
        (it.region.name, it.seed): it
        for it in cases
        if it.is_done and it.policy.label == spec.baseline
    }
    found = {}
    for one in results:
        shares: Mapping[str, Share] = {}
        baseline = baselines.get((one.region, one.seed))
        if one.not_done and baseline is not None and one.policy != spec.baseline:
            table = read_table(baseline, "jobs")
            table = table[table["job"].isin(one.not_done)]
            rows = zip(
                table["job"], table["cost_eur"], table["carbon_kg"], table["kwh"], strict=True
            )
            shares = {job: Share(eur, kg, kwh) for job, eur, kg, kwh in rows}
        found[one.key] = Paid.of(one.cost_eur, one.carbon_kg, one.not_done, shares)
    return found


def _line(results: Sequence[CaseResult], paid: Mapping[CaseKey, Paid], baseline: str) -> Line:
    first = results[0]
    pairs = [(paid[it.key], paid.get((it.region, it.seed, baseline))) for it in results]
    eur, kg = fmean(own.eur for own, _ in pairs), fmean(own.kg for own, _ in pairs)
    known = [now for _, now in pairs if now is not None]
    is_whole = len(known) == len(pairs)
    now_eur = fmean(now.eur for now in known) if is_whole else None
    now_kg = fmean(now.kg for now in known) if is_whole else None
    return Line(
        region=first.region,
        policy=first.policy,
        cost_eur=eur,
        carbon_kg=kg,
        saved_eur=None if now_eur is None else now_eur - eur,
        saved_kg=None if now_kg is None else now_kg - kg,
        saved_eur_share=_share(now_eur, eur),
        saved_kg_share=_share(now_kg, kg),
        used_kwh=fmean(it.used_kwh for it in results),
        highest_import_kw=max(site.highest_import_kw for it in results for site in it.sites),
        gpu_share=_gpu_share([site for it in results for site in it.sites]),
        wait_mean_h=fmean(it.wait_mean_h for it in results),
        wait_p95_h=fmean(it.wait_p95_h for it in results),
        n_late=fmean(it.n_late for it in results),
        n_not_done=fmean(len(it.not_done) for it in results),
        lost_hours=fmean(it.lost_hours for it in results),
        n_plans=fmean(it.n_plans for it in results),
        n_refused=fmean(it.n_refused for it in results),
        worst_error=max(it.worst_error for it in results),
        is_sound=all(it.is_sound for it in results),
    )


def _gpu_share(sites: Sequence[SiteResult]) -> float:
    there = sum(site.gpu_hours_there for site in sites)
    return sum(site.gpu_hours_held for site in sites) / there if there else 0.0


def _share(now: float | None, own: float) -> float | None:
    """Return what was saved as a share; ``None`` where nothing was paid to save of."""
    return None if now is None or now <= 0.0 else (now - own) / now
