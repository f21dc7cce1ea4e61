"""What is done to jobs. Each step leaves the cluster as somebody else can go on from.

A run is created suspended and then released, once no earlier run can still be at work. So an order
that arrives late, after whoever sent it has given up, starts nothing; and a run that was never
released does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.clusters.kubernetes import kueue, names
from connectors.clusters.kubernetes.api import Conflict, NotFound
from connectors.clusters.kubernetes.gpus import cut, refuse_busy
from connectors.clusters.kubernetes.manifest import Run, cap_text, make_job
from connectors.clusters.kubernetes.orders import as_text, refuse_freeze
from connectors.clusters.kubernetes.session import Session
from connectors.clusters.kubernetes.standing import Standing, standings
from connectors.clusters.kubernetes.views import RunView, Wanted
from connectors.clusters.orders import may_go_on, refuse_bad_order, refuse_bad_power_cap
from connectors.errors import Rejected, Unavailable
from connectors.types import JobOrder, JobState

_TRIES = 6  # to write what somebody else, mostly a controller, writes to at the same time


async def submit(session: Session, order: JobOrder) -> JobState:
    """Start the first run of ``order``, unless its key is known; say where it stands."""
    async with session.choosing:
        known = await session.present()
        _refuse_bad(session, order, known)
        if order.key in known:
            return known[order.key].state
        refuse_busy(order, session.pools(known)[order.pool])
        parts = cut(order, session.pools(known)[order.pool])
        await _start(session, order, Run(1, 0, parts))
        return JobState.QUEUED


async def resume(session: Session, order: JobOrder) -> None:
    """Start another run of a job that is suspended, or failed and is to go on."""
    async with session.choosing:
        known = await session.present()
        standing = await session.fresh_standing(order.key)
        if standing is None:
            raise _unknown(order.key)
        _refuse_bad(session, order, known)
        if not may_go_on(order, standing.state, standing.starts):
            return
        is_paused = standing.state is JobState.SUSPENDED
        if (
            is_paused and standing.last.wanted is Wanted.RUN
        ):  # others have paused it, and might start it again
            await tell(session, standing.last, Wanted.PAUSE)
        pool = session.pools(known | {order.key: standing})[order.pool]
        refuse_busy(order, pool)
        run = Run(standing.last.number + 1, standing.starts, cut(order, pool))
        await _start(session, order, run)


async def suspend(session: Session, key: str) -> None:
    """Have the run of a job leave, where it was told to run."""
    for _ in range(_TRIES):
        last = _last(key, await session.fresh_runs(key))
        if last.wanted is not Wanted.RUN or last.has_ended:
            return
        if await tell(session, last, Wanted.PAUSE):
            return
    raise _contended(session, key)


async def cancel(session: Session, key: str) -> None:
    """End a job for good, and keep a run that is not released from ever being."""
    for _ in range(_TRIES):
        runs = await session.fresh_runs(key)
        last = _last(key, runs)
        if last.has_ended and not last.is_put_out:
            return
        # What may yet start first: whoever is about to release it looks at the others once more.
        to_tell = [run for run in reversed(runs) if run.wanted in {None, Wanted.RUN}]
        if last.wanted is Wanted.PAUSE:
            to_tell.append(last)
        told = [await tell(session, run, Wanted.CANCEL) for run in to_tell]
        if all(told):
            return
    raise _contended(session, key)


async def set_power_cap(session: Session, key: str, power_cap_w: float | None) -> None:
    """Note the cap on the Job; its pods are told by whoever watches them (``keeping``)."""
    refuse_bad_power_cap(key, power_cap_w)
    last = _last(key, await session.fresh_runs(key))
    if last.has_ended:
        return
    note = {names.POWER_CAP: cap_text(power_cap_w)}
    session.wrote(await _patch(session, last, {"metadata": {"annotations": note}}))


def _refuse_bad(session: Session, order: JobOrder, known: Mapping[str, Standing]) -> None:
    totals = {name: pool.total for name, pool in session.pools(known).items()}
    refuse_bad_order(order, totals)
    refuse_freeze(order)


async def _start(session: Session, order: JobOrder, run: Run) -> None:
    made = await _create(session, order, run)
    if run.number > 1 and not await _is_still_to_go_on(session, order, run):
        await _drop(session, made)
        return
    for _ in range(_TRIES):
        if made.wanted is not None:  # by somebody with the same order, or it has been cancelled
            return
        told = await _release(session, made)
        if told:
            return
        made = await _read(session, made.name)
    raise _contended(session, order.key)


async def _create(session: Session, order: JobOrder, run: Run) -> RunView:
    """Create the Job of a run, or find it: it may have been created and never released."""
    body = make_job(order, run, session.config)
    name = str(body["metadata"]["name"])
    for _ in range(_TRIES):
        try:
            made = session.wrote(await session.api.create(session.jobs_path, body))
        except Conflict:
            made = None
        if made is not None:
            return made
        try:
            found = await _read(session, name)
        except NotFound:
            continue
        if found.wanted is not None or as_text(found.order) == as_text(order):
            return found
        await _drop(session, found)
    raise _contended(session, order.key)


async def _drop(session: Session, run: RunView) -> None:
    """Delete a run that was not released, unless somebody just has to do with it."""
    try:
        await session.api.delete(_path(session, run), run.version)
    except (Conflict, NotFound):
        return  # it starts nothing as it is


async def _is_still_to_go_on(session: Session, order: JobOrder, run: Run) -> bool:
    """Whether all runs before this one have ended as they must, and none was cancelled meanwhile.

    Asked after this run was created: whoever cancels the job from then on finds it.
    """
    before = [one for one in await session.fresh_runs(order.key) if one.number < run.number]
    standing = standings(before, session.pods.items, session.noted).get(order.key)
    return standing is not None and may_go_on(order, standing.state, standing.starts)


async def _release(session: Session, run: RunView) -> bool:
    return await _merge(
        session, run, {names.WANTED: Wanted.RUN.value}, kueue.release(session.config, run.order)
    )


async def tell(session: Session, run: RunView, wanted: Wanted) -> bool:
    """Tell a run to leave; False where it has changed since it was read."""
    more: Mapping[str, Any] = {"spec": {"suspend": True}} if run.queue is None else {}
    if not await _merge(session, run, {names.WANTED: wanted.value}, more):
        return False
    if run.queue is not None:
        await deactivate(session, run)
    return True


async def deactivate(session: Session, run: RunView) -> None:
    """Have Kueue take a run away, and not start it again."""
    selector = f"{kueue.JOB_LABEL}={run.uid}"
    workloads, _ = await session.api.list(session.workloads_path, labelSelector=selector)
    for workload in workloads:
        path = f"{session.workloads_path}/{workload['metadata']['name']}"
        await session.api.patch(path, {"spec": {"active": False}})


async def _merge(
    session: Session, run: RunView, notes: Mapping[str, str], more: Mapping[str, Any]
) -> bool:
    meta = {"resourceVersion": str(run.version), "annotations": dict(notes)}
    body = {**more, "metadata": {**more.get("metadata", {}), **meta}}
    try:
        session.wrote(await _patch(session, run, body))
    except Conflict:
        return False
    return True


async def _patch(session: Session, run: RunView, body: Mapping[str, Any]) -> dict[str, Any]:
    return await session.api.patch(_path(session, run), body)


async def _read(session: Session, name: str) -> RunView:
    view = session.wrote(await session.api.get(f"{session.jobs_path}/{name}"))
    if view is None:
        raise Rejected(f"{session.name}: Job {session.namespace}/{name} is there, and is not ours")
    return view


def _path(session: Session, run: RunView) -> str:
    return f"{session.jobs_path}/{run.name}"


def _last(key: str, runs: list[RunView]) -> RunView:
    released = [run for run in runs if run.wanted is not None]
    if not released:
        raise _unknown(key)
    return released[-1]


def _unknown(key: str) -> Rejected:
    return Rejected(f"job {key}: not known here")


def _contended(session: Session, key: str) -> Unavailable:
    return Unavailable(f"{session.name}: job {key}: others kept writing to it, {_TRIES} times")
