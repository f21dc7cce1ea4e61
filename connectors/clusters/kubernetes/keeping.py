"""What is seen to in the background, from what is watched; done twice, it does no harm.

- What is seen of a run's pods is noted on its Job, because pods do not last.
- Pods are told the power cap that their Job says.
- A run that others have suspended, or that Kueue did not yet hear is to leave, is told to leave.
- Jobs that ended long ago are forgotten, and runs that were never released.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from connectors.clusters.kubernetes import names
from connectors.clusters.kubernetes.api import Conflict, NotFound
from connectors.clusters.kubernetes.commands import deactivate, tell
from connectors.clusters.kubernetes.manifest import cap_text
from connectors.clusters.kubernetes.session import Session
from connectors.clusters.kubernetes.standing import Standing, seen_of
from connectors.clusters.kubernetes.views import RunView, Wanted
from connectors.errors import ConnectorError
from connectors.types import JobState

log = logging.getLogger(__name__)

_RETRY_AFTER_S = 5.0
_SWEEP_EVERY = timedelta(hours=1)
_RELEASED_WITHIN = timedelta(hours=1)


async def keep(session: Session) -> None:
    """See to it until cancelled."""
    swept_at: datetime | None = None
    while True:
        async with session.changes:
            await session.changes.wait()
        try:
            await note_what_was_seen(session)
            await tell_power_caps(session)
            await tell_to_leave(session)
            ahead = timedelta(seconds=session.api.clock_ahead_s or 0.0)
            now = datetime.now(UTC) + ahead  # by the clock that dates its objects
            if session.jobs.version and (swept_at is None or now - swept_at > _SWEEP_EVERY):
                await forget(session, now)
                swept_at = now
        except ConnectorError as error:
            log.warning("%s: put off: %s", session.name, error)
            await asyncio.sleep(_RETRY_AFTER_S)


async def note_what_was_seen(session: Session) -> None:
    """Write to the Jobs what their pods have shown and they do not say yet."""
    runs = {run.name: run for run in session.jobs.items}
    present = {pod.run for pod in session.pods.items}
    for name in list(session.noted):
        run = runs.get(name)
        if run is None:
            if name not in present and session.jobs.version:
                del session.noted[name]
            continue
        seen = seen_of(run, session.noted)
        if seen != run.seen:
            await _annotate(session, run, names.SEEN, seen.as_text())
        elif name not in present:
            del session.noted[name]


async def tell_power_caps(session: Session) -> None:
    """Write the cap of a Job to those of its pods that have another."""
    caps = {run.name: cap_text(run.power_cap_w) for run in session.jobs.items}
    for pod in list(session.pods.items):
        cap = caps.get(pod.run or "")
        if cap is not None and pod.is_live and pod.power_cap != cap:
            body = {"metadata": {"annotations": {names.POWER_CAP: cap}}}
            try:
                await session.api.patch(f"{session.pods_path}/{pod.name}", body)
            except NotFound:
                continue  # it ended meanwhile


async def tell_to_leave(session: Session) -> None:
    """Have what is suspended by others stay so, and Kueue hear of every run that is to leave."""
    active = {one.job_uid for one in session.workloads.items if one.is_active}
    for standing in session.standings().values():
        run = standing.last
        if run.wanted is Wanted.RUN and standing.state is JobState.SUSPENDED:
            await tell(session, run, Wanted.PAUSE)
        elif run.wanted is not Wanted.RUN and run.uid in active:
            await deactivate(session, run)


async def forget(session: Session, now: datetime) -> None:
    """Delete the Jobs of what ended long ago, and of runs that were never released."""
    for run in [*_never_released(session, now), *_over(session, now)]:
        try:
            await session.api.delete(f"{session.jobs_path}/{run.name}", run.version)
        except (Conflict, NotFound):
            continue  # it changed: for the next time


def _never_released(session: Session, now: datetime) -> list[RunView]:
    return [
        run
        for run in session.jobs.items
        if run.wanted is None and now - run.created_at > _RELEASED_WITHIN
    ]


def _over(session: Session, now: datetime) -> Iterable[RunView]:
    hours = session.config.keep_finished_hours
    if hours is None:
        return
    before = now - timedelta(hours=hours)
    for standing in session.standings().values():
        ended_at = _ended_at(standing)
        if standing.state.is_final and ended_at is not None and ended_at < before:
            yield from reversed(standing.runs)  # the last first: without it, the others are paused


def _ended_at(standing: Standing) -> datetime | None:
    return standing.observation().ended_at


async def _annotate(session: Session, run: RunView, name: str, text: str) -> None:
    body = {"metadata": {"uid": run.uid, "annotations": {name: text}}}
    try:
        await session.api.patch(f"{session.jobs_path}/{run.name}", body)
    except (Conflict, NotFound):
        return  # it is another one by now, or gone
