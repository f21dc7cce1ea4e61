"""Where a job stands, from its runs and their pods.

A run that was put out (its Job's controller took its pods away because we suspended it) did not end
by itself, however its pods ended: after SIGTERM any exit code means that it left, for frameworks
leave with 0 as well as with an error once they have saved. The controller says so itself: it marks
a Job suspended only where it had not ended before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from connectors.clusters.caps import CapInForce, cap_in_force, read_report, silent
from connectors.clusters.kubernetes.views import PodView, RunView, Seen, Wanted
from connectors.types import JobObservation, JobState

_KILLED = 137  # 128 + SIGKILL


@dataclass(frozen=True, slots=True)
class Standing:
    """One job: its released runs in their order, and the pods of the last."""

    runs: tuple[RunView, ...]
    pods: tuple[PodView, ...]
    seen: Seen  # of the pods of the last run, also of those that are gone
    state: JobState

    @property
    def last(self) -> RunView:
        """The run that counts."""
        return self.runs[-1]

    @property
    def holds_gpus(self) -> int:
        """GPUs it has or waits for."""
        is_there = self.state in {JobState.QUEUED, JobState.RUNNING}
        return self.last.order.gpus if is_there else 0

    @property
    def starts(self) -> int:
        """Runs whose command was started."""
        started = [run for run in self.runs[:-1] if run.seen.started_at is not None]
        return len(started) + (self.seen.started_at is not None)

    def observation(
        self, lost_nodes: Set[str] = frozenset(), queued: Mapping[str, str] | None = None
    ) -> JobObservation:
        """Return what the cluster reports of it.

        ``lost_nodes`` do not answer; ``queued`` says why runs wait in a queue, by their uid.
        """
        starts = [run.seen.started_at for run in self.runs[:-1]] + [self.seen.started_at]
        nodes = {pod.node for pod in self.pods if pod.is_live and pod.node}
        lost = ", ".join(sorted(nodes & lost_nodes))
        cap = self._cap()
        return JobObservation(
            key=self.last.order.key,
            state=self.state,
            pool=self.last.order.pool,
            gpus=self.last.order.gpus if self.state is JobState.RUNNING else 0,
            power_cap_w=self.last.power_cap_w,
            started_at=min((at for at in starts if at is not None), default=None),
            ended_at=self._ended_at() if self.state.is_final else None,
            exit_code=self._exit_code(),
            starts=self.starts,
            reason=f"node {lost} does not answer" if lost else self._reason(queued or {}),
            nodes=tuple(sorted(nodes)),
            power_cap_in_force_w=cap.watts,
            power_cap_problem=cap.problem,
        )

    def _cap(self) -> CapInForce:
        """Put together what the nodes say of its pods that run; nothing where none has an agent."""
        reports = [
            silent(pod.node or "")
            if pod.capped is None
            else read_report(pod.node or "", pod.capped)
            for pod in self.pods
            if pod.is_live and pod.seen.started_at is not None
        ]
        if all(pod.capped is None for pod in self.pods):
            reports = []
        return cap_in_force(self.last.power_cap_w, reports, ())

    def _ended_at(self) -> datetime | None:
        return self.seen.ended_at or self.last.ended_at or self.seen.started_at

    def _exit_code(self) -> int | None:
        if self.state is JobState.SUCCEEDED:
            return 0
        is_told = self.state in {JobState.FAILED, JobState.SUSPENDED}
        return self.seen.exit_code if is_told else None

    def _reason(self, queued: Mapping[str, str]) -> str:
        words = queued.get(self.last.uid, "")
        match self.state:
            case JobState.SUCCEEDED:
                return ""
            case JobState.FAILED:
                return self.seen.reason or self.last.message or "it failed; its pods are gone"
            case JobState.SUSPENDED if self.last.wanted is Wanted.RUN:
                return words or "suspended by somebody else"
            case JobState.SUSPENDED | JobState.CANCELLED:
                grace_s = self.last.order.checkpoint_grace_s
                return _how_it_left(self.state, self.seen, grace_s)
        return self._why_it_is_not_up(words)

    def _why_it_is_not_up(self, words: str) -> str:
        if self.last.wanted is not Wanted.RUN:
            return f"leaving, within {self.last.order.checkpoint_grace_s:g} s of grace"
        if self.state is JobState.QUEUED:
            waits = [*filter(None, [words]), *(p.waits_for for p in self.pods if p.waits_for)]
            return next(iter(waits), "its pod is being made" if not self.pods else "being started")
        up = [pod for pod in self.pods if pod.is_live and pod.seen.started_at is not None]
        return "" if len(up) == len(self.pods) else f"{len(up)} of {len(self.pods)} pods run"


def _how_it_left(state: JobState, seen: Seen, grace_s: float) -> str:
    if seen.started_at is None:
        return f"{state}: it was not started"
    if seen.exit_code is None:
        return f"{state}: left or killed within {grace_s:g} s of grace"
    if seen.exit_code == _KILLED:
        return f"{state}: killed, at the latest after {grace_s:g} s of grace"
    return f"{state}: ended with exit code {seen.exit_code}, {grace_s:g} s of grace"


Noted = Mapping[str, Mapping[str, Seen]]
"""What was seen of pods, by name of their run and their uid; it outlasts them."""


def seen_of(run: RunView, noted: Noted) -> Seen:
    """Return the most that is known of a run: from its pods, else from what its Job keeps."""
    shown = list(noted.get(run.name, {}).values())
    starts = [one.started_at for one in [*shown, run.seen] if one.started_at is not None]
    ended = [one for one in shown if one.ended_at is not None or one.reason]
    # The part that failed says how a run on several nodes ended; the others were ended for it.
    ended.sort(key=lambda one: (not one.reason, not one.exit_code))
    how = ended[0] if ended else run.seen
    return replace(how, started_at=min(starts, default=None))


class Over:
    """Jobs that are over, and where they stand, for as long as nothing is said of them."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[list[RunView], Standing]] = {}

    def get(self, key: str, runs: list[RunView]) -> Standing | None:
        """Return where a job stands of which these very views are all that there is."""
        kept = self._kept.get(key)
        if kept is None or len(kept[0]) != len(runs):
            return None
        is_same = all(one is other for one, other in zip(kept[0], runs, strict=True))
        return kept[1] if is_same else None

    def keep(self, key: str, runs: list[RunView], standing: Standing) -> None:
        """Keep where a job stands that is over."""
        self._kept[key] = runs, standing

    def forget_others(self, keys: Set[str]) -> None:
        """Keep no more than these."""
        for key in self._kept.keys() - keys:
            del self._kept[key]


def standings(
    runs: Iterable[RunView], pods: Iterable[PodView], noted: Noted, over: Over | None = None
) -> dict[str, Standing]:
    """Return where every job stands that has a released run, by key."""
    over = over or Over()
    by_key: dict[str, list[RunView]] = {}
    for run in runs:
        if run.wanted is not None:
            by_key.setdefault(run.order.key, []).append(run)
    by_run: dict[str, list[PodView]] = {}
    for pod in pods:
        if pod.run is not None:
            by_run.setdefault(pod.run, []).append(pod)
    found = {}
    for key, of_key in sorted(by_key.items()):
        is_told = any(run.name in by_run or run.name in noted for run in of_key)
        standing = None if is_told else over.get(key, of_key)
        if standing is None:
            standing = _standing(of_key, by_run, noted)
            if standing.state.is_final and not is_told:
                over.keep(key, of_key, standing)
        found[key] = standing
    over.forget_others(found.keys())
    return found


def _standing(
    of_key: Iterable[RunView], by_run: Mapping[str, list[PodView]], noted: Noted
) -> Standing:
    runs = sorted(of_key, key=lambda run: run.number)
    runs = [replace(run, seen=seen_of(run, noted)) for run in runs]
    last = runs[-1]
    pods = tuple(sorted(by_run.get(last.name, []), key=lambda pod: (pod.index, pod.created_at)))
    is_cancelled = any(run.wanted is Wanted.CANCEL for run in runs)
    state = _state(last, pods, is_cancelled=is_cancelled)
    return Standing(tuple(runs), pods, last.seen, state)


def _state(run: RunView, pods: Sequence[PodView], *, is_cancelled: bool) -> JobState:
    is_there = JobState.RUNNING if run.seen.started_at is not None else JobState.QUEUED
    if any(pod.is_live for pod in pods):
        return is_there
    is_told_to_leave = is_cancelled or run.wanted is not Wanted.RUN
    if is_told_to_leave and run.is_put_out:
        return JobState.CANCELLED if is_cancelled else JobState.SUSPENDED
    if run.has_ended:
        return JobState.SUCCEEDED if run.has_succeeded else JobState.FAILED
    if run.is_suspended and run.is_put_out and is_there is JobState.RUNNING:
        return JobState.SUSPENDED  # by somebody else: it goes on as any that was paused
    return is_there
