"""What a solve knows so far, told on as progress; and whether there is time left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from optimizer.placements.columns import Columns
from optimizer.placements.options import Floats
from optimizer.progress import Clock, OnProgress, Progress, SolveLimits, relative_gap


@dataclass(frozen=True, slots=True)
class Standing:
    """A plan as columns: one of each served job, the values of all others, and what it costs."""

    columns: Columns
    values: Floats
    objective: float


class Watch:
    """Keeps the best plan and bound of a solve, tells of them, and looks at the time.

    Parameters
    ----------
    flows_s
        Time that is left at the end for the flows of the plan [s].
    """

    def __init__(
        self, limits: SolveLimits, on_progress: OnProgress | None, clock: Clock, flows_s: float
    ) -> None:
        self._limits, self._on_progress, self._clock = limits, on_progress, clock
        self._began = clock()
        self.flows_s = flows_s
        self.bound: float | None = None
        self.best: Standing | None = None
        self._was_stopped = False

    @property
    def seconds(self) -> float:
        """Seconds since the solve began."""
        return self._clock() - self._began

    @property
    def left_s(self) -> float:
        """Seconds of the limit that are left."""
        return self._limits.time_limit_s - self.seconds

    @property
    def gap(self) -> float | None:
        """Relative gap, once there are a plan and a bound."""
        return None if self.best is None else relative_gap(self.best.objective, self.bound)

    def keep(self, standing: Standing) -> None:
        """Keep ``standing`` if it is the best so far."""
        if self.best is None or standing.objective < self.best.objective:
            self.best = standing

    def note_bound(self, bound: float) -> None:
        """Keep ``bound`` if it is the highest so far."""
        self.bound = bound if self.bound is None else max(bound, self.bound)

    def is_good_enough(self) -> bool:
        """Whether the gap asked for is proven."""
        return self.gap is not None and self.gap <= self._limits.mip_gap

    def is_over(self) -> bool:
        """Whether it was stopped, or only the time for flows is left."""
        return self._was_stopped or self.left_s <= self.flows_s

    def search_s(self) -> float:
        """Return the seconds until only the time for flows is left; none where it was stopped."""
        return 0.0 if self.is_over() else self.left_s - self.flows_s

    def goes_on(self, phase: str) -> bool:
        """Tell how far it is; False where it was stopped or only the time for flows is left."""
        best = None if self.best is None else self.best.objective
        if self._on_progress is not None and not self._was_stopped:
            progress = Progress(phase, self.seconds, best, self.bound)
            self._was_stopped = not self._on_progress(progress)
        return not self.is_over()

    def share_used(self, share: float) -> Callable[[], float]:
        """Return what says how much of a ``share`` of the time left now is used."""
        began, allowed_s = self.seconds, share * max(1e-9, self.left_s - self.flows_s)
        return lambda: (self.seconds - began) / allowed_s

    def noting(self, phase: str) -> Callable[[float], bool]:
        """Return what notes a bound, tells of it and says whether to go on: no, if good enough."""

        def goes_on(bound: float) -> bool:
            self.note_bound(bound)
            return self.goes_on(phase) and not self.is_good_enough()

        return goes_on
