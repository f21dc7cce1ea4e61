"""Which operating points of a job a plan is offered: those dispatch can bring about."""

from __future__ import annotations

from connectors.types import SuspendBy
from scheduler.specs import JobSpec
from scheduler.specs.fleet import SiteSpec
from scheduler.specs.job import OperatingPointSpec


def open_points(
    spec: JobSpec, begun_at: str | None, *, is_fixed: bool = False
) -> tuple[OperatingPointSpec, ...]:
    """Return the operating points a plan may use, so that dispatch can do whatever it says.

    ``begun_at`` names the present point of a job that has begun.
    Other GPUs or another batch size mean another process: the job is paused and resumed so. Hence

    - a job that is frozen in memory when it is paused, or is not paused any more (``is_fixed``),
      keeps the GPUs and batch size it has, or, where a plan might change them on the way, those of
      its first point;
    - an elastic job has one batch size for each pool and number of GPUs, the present one or else
      the first listed: between points of the same GPUs a plan changes without a restart.
    """
    points = spec.operating_points
    present = next((one for one in points if one.name == begun_at), None)
    if is_fixed or spec.suspend_by is SuspendBy.FREEZE:
        kept = points[0] if present is None and spec.is_elastic else present
        return points if kept is None else tuple(one for one in points if one.setup == kept.setup)
    if not spec.is_elastic:
        return points
    batch_sizes: dict[tuple[str, int], int | None] = {}
    for one in (*filter(None, (present,)), *points):
        batch_sizes.setdefault((one.pool, one.gpus), one.batch_size)
    return tuple(one for one in points if batch_sizes[one.pool, one.gpus] == one.batch_size)


def shed_kw(spec: JobSpec, point: OperatingPointSpec, site: SiteSpec, *, may_pause: bool) -> float:
    """Return what of ``point`` at ``site`` can be shed when a reserve is called [kW].

    All but what its GPUs draw idle where the job may pause, else down to the lowest cap.
    """
    if spec.sheds_within_s is None:
        return 0.0
    if may_pause:
        idle_kw = next(pool.idle_kw_per_gpu for pool in site.pools if pool.name == point.pool)
        return max(0.0, point.kw - point.gpus * idle_kw)
    caps = (other.kw for other in spec.operating_points if other.setup == point.setup)
    return max(0.0, point.kw - min(caps)) if spec.is_elastic else 0.0
