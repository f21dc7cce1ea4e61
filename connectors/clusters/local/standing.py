"""Where a job stands, read from its folder and the process table; and the GPUs it holds."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.clusters.caps import CapReport, cap_in_force
from connectors.clusters.local.jobfolder import Final, JobFolder, Pause, Phase, Start, Wanted
from connectors.clusters.local.processes import is_held
from connectors.types import JobObservation, JobOrder, JobState, SuspendBy


@dataclass(frozen=True, slots=True)
class Standing:
    """One job as its folder tells it; ``first`` is the first start, ``start`` that of this run."""

    order: JobOrder
    wanted: Wanted
    power_cap_w: float | None
    starts: int
    first: Start | None
    start: Start | None
    pause: Pause | None
    final: Final | None
    is_frozen: bool
    capped: CapReport | None = None

    @property
    def held(self) -> tuple[int, ...]:
        """Indices of the GPUs it holds."""
        is_free = self.final is not None or self.pause is not None
        return () if is_free else self.wanted.gpu_indices

    @property
    def state(self) -> JobState:
        """Where it stands."""
        if self.final is not None:
            return self.final.state
        is_suspended = self.pause is not None or self.is_frozen
        return JobState.SUSPENDED if is_suspended else JobState.RUNNING

    @property
    def needs_supervisor(self) -> bool:
        """Whether somebody must be looking after it now."""
        if self.final is not None:
            return False
        return self.pause is None or self.wanted.phase is Phase.CANCEL

    def observation(self) -> JobObservation:
        """Return what the cluster reports of it."""
        reports = [self.capped] if self.capped is not None and self.held else []
        cap = cap_in_force(self.power_cap_w, reports, ())
        how = self.pause if self.final is None else self.final
        return JobObservation(
            key=self.order.key,
            state=self.state,
            pool=self.order.pool,
            gpus=len(self.held),
            power_cap_w=self.power_cap_w,
            started_at=None if self.first is None else self.first.at,
            ended_at=None if self.final is None else self.final.at,
            exit_code=None if how is None else how.exit_code,
            starts=self.starts,
            reason=self._reason(),
            power_cap_in_force_w=cap.watts,
            power_cap_problem=cap.problem,
        )

    def _reason(self) -> str:
        if self.final is not None:
            return self.final.reason
        if self.pause is not None:
            return self.pause.reason
        if self.is_frozen:
            return "frozen: in memory, its GPUs held"
        return "" if self.start is not None else "being started"


def read_standing(folder: JobFolder) -> Standing:
    """Read where the job in ``folder`` stands.

    ``wanted`` is read first: a run that ends meanwhile is then seen as ended, and one that is
    resumed meanwhile as not yet resumed. Both were true a moment ago.
    """
    wanted = folder.wanted()
    order = folder.assignment(wanted.run).order
    start = folder.start(wanted.run)
    pause = folder.pause(wanted.run)
    is_to_freeze = order.suspend_by is SuspendBy.FREEZE and wanted.phase is Phase.PAUSE
    started = [n for n in range(1, wanted.run + 1) if folder.start(n) is not None]
    return Standing(
        order=order,
        wanted=wanted,
        power_cap_w=folder.power_cap_w(),
        starts=len(started),
        first=folder.start(started[0]) if started else None,
        start=start,
        pause=pause,
        final=folder.final_of(wanted.run),
        is_frozen=is_to_freeze and start is not None and is_held(start.leader),
        capped=folder.capped(wanted.run),
    )
