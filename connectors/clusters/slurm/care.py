"""Seeing to it that Slurm has what the folder of a job wants: one Slurm job, once, released.

Whatever is seen may be the leftover of a scheduler that died in between, or of an order that
arrived late. Of two Slurm jobs for one run the claim decides; see ``job.sh``.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable, Sequence

from connectors.clusters.slurm.config import SlurmConfig
from connectors.clusters.slurm.folder import JobFolder, Records
from connectors.clusters.slurm.standing import conclusion, is_asleep
from connectors.clusters.slurm.transport import RunRef, SlurmJob, SlurmTransport, Submission
from connectors.errors import Rejected
from connectors.types import JobState

Submit = Callable[[Records], Awaitable[Submission]]
"""Makes what is to be submitted for the wanted run of a job."""


class Doubts:
    """Since when something has looked the same [s of monotonic time]."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[Hashable, tuple[object, float]] = {}

    def lasts(self, what: Hashable, look: object, for_s: float) -> bool:
        """Whether ``what`` has had this look for so long."""
        now = self._clock()
        if what not in self._since or self._since[what][0] != look:
            self._since[what] = look, now
        return now - self._since[what][1] >= for_s

    def settle(self, what: Hashable) -> None:
        """Forget it."""
        self._since.pop(what, None)


class Care:
    """Looks after the jobs of one cluster."""

    def __init__(self, transport: SlurmTransport, config: SlurmConfig) -> None:
        self._transport = transport
        self._config = config
        self._doubts = Doubts()

    async def begin(self, folder: JobFolder, submission: Submission) -> None:
        """Submit and release a run for which Slurm was never asked before. Hold the job's lock."""
        run = submission.ref.run
        job_id = await self._transport.submit_held(submission)
        folder.write_slurm_job(run, job_id)
        try:
            await self._transport.release(job_id)
        except Rejected:
            await self._transport.cancel(job_id)
            raise

    async def tend(
        self,
        folder: JobFolder,
        rows: Sequence[SlurmJob],
        submit: Submit,
    ) -> None:
        """Bring a job on, given all that Slurm knows of it. Hold the job's lock."""
        records = folder.read()
        own = owner(records, rows)
        for row in _surplus(rows, own):
            await self._transport.cancel(row.id)
        if is_asleep(records, own):
            self._doubts.settle(folder.path)
        elif own is not None and not own.is_over:
            await self._bring_on(folder, records, own)
        elif records.slurm_job is None and records.claim is None and own is None:
            await self.begin(folder, await submit(records))
        else:
            await self._conclude(folder, records, own, submit)

    def give_up(self, folder: JobFolder, reason: str) -> None:
        """Say that the wanted run cannot be begun. Hold the job's lock."""
        run = folder.wanted().run
        if folder.withdraw(run):
            folder.conclude(run, JobState.FAILED, reason)

    async def _bring_on(self, folder: JobFolder, records: Records, row: SlurmJob) -> None:
        self._doubts.settle(folder.path)
        if records.slurm_job is None:
            folder.write_slurm_job(records.wanted.run, row.id)
        if row.is_held and records.claim is None:
            await self._transport.release(row.id)

    async def _conclude(
        self,
        folder: JobFolder,
        records: Records,
        row: SlurmJob | None,
        submit: Submit,
    ) -> None:
        """Say how a run ended that Slurm says is over, or does not know, and that says nothing."""
        look = (records.wanted, row, records.beat_at)
        patience_s = self._config.lost_after_s if row is None else self._config.settle_s
        if not self._doubts.lasts(folder.path, look, patience_s):
            return
        self._doubts.settle(folder.path)
        run = records.wanted.run
        if records.claim is None and row is None:
            await self.begin(folder, await submit(records))  # Slurm lost it, or never got it
            return
        if records.claim is None and not folder.withdraw(run):
            return  # it has begun after all
        found = conclusion(records, row)
        if found is not None:
            folder.conclude(run, *found)


def needs_care(records: Records, rows: Sequence[SlurmJob]) -> bool:
    """Whether ``tend`` may have something to do."""
    own = owner(records, rows)
    if _surplus(rows, own):
        return True
    if is_asleep(records, own):
        return False
    is_on_its_way = own is not None and not own.is_over and records.slurm_job is not None
    return not is_on_its_way or (own is not None and own.is_held)


def owner(records: Records, rows: Sequence[SlurmJob]) -> SlurmJob | None:
    """Return the Slurm job of the wanted run.

    That is the one that claimed it, else the one noted, else the first that lives.
    """
    if records.is_withdrawn:
        return None
    if records.claim is not None:
        return next((row for row in rows if str(row.id) == records.claim), None)
    own = sorted((row for row in rows if _run(row.ref) == records.wanted.run), key=lambda r: r.id)
    live = [row for row in own if not row.is_over]
    noted = [row for row in live if row.id == records.slurm_job]
    return next(iter(noted or live or own), None)


def _surplus(rows: Sequence[SlurmJob], own: SlurmJob | None) -> list[SlurmJob]:
    """Return what waits and is not ``own``. What has GPUs leaves by itself, or is the one."""
    return [row for row in rows if row is not own and not row.is_over and not row.has_gpus]


def _run(ref: RunRef | None) -> int | None:
    return None if ref is None else ref.run
