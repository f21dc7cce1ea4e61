"""The worker: claims a run, has it solved in a child process, and stores the plan.

It holds a run by a lease that it renews every few seconds. It kills the child and drops the result
when the run is cancelled, when the lease is lost, and when it is asked to stop, in which case it
gives the run back. A worker that is killed loses its lease, and another one takes the run.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from optimizer import Progress
from scheduler.db.outage import DATABASE_AWAY
from scheduler.db.session import SessionFactory, transaction
from scheduler.doubt import doubt_of
from scheduler.services.assemble import Assembled
from scheduler.services.documents import make_document
from scheduler.services.forecast_fits import fit_site, fits_due, store_fits
from scheduler.services.forecast_models import ModelShelf, fit_model, model_due
from scheduler.services.forecast_records import issue_due, store_forecasts
from scheduler.services.planning import LeaseLost, prepare, review, store_result
from scheduler.services.planning_inputs import Inputs, forecasts_for, read_inputs
from scheduler.services.planning_queue import (
    Lease,
    claim_run,
    fail_run,
    give_back,
    give_up_hopeless,
    renew_lease,
)
from scheduler.services.plans import read_in_force
from scheduler.services.runs import get_run
from scheduler.side_by_side import HERE, SearchPlace
from scheduler.solving import (
    ChildFailed,
    Method,
    Solved,
    SolverProcess,
    SolveTask,
    solve_exactly,
    solve_greedily,
)
from scheduler.timekeeping import Now, system_now

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorkerTiming:
    """How often a worker looks and how long it waits [s of real time].

    ``overrun_factor`` and ``overrun_s``: a child that takes longer than its time limit times the
    one plus the other is killed. ``greedy_s``: what planning greedily after that may take.
    """

    poll_s: float = 0.5
    renew_s: float = 2.0
    lease_s: float = 30.0
    overrun_factor: float = 1.5
    overrun_s: float = 60.0
    greedy_s: float = 300.0


class Stopped(Exception):
    """The worker was asked to stop."""


class Worker:
    """Works off the queue of planning runs, one at a time.

    Parameters
    ----------
    now
        Clock of the scheduler; leases count real time whatever it shows.
    stop
        Set it to make the worker give its run back and return.
    """

    def __init__(
        self,
        sessions: SessionFactory,
        now: Now,
        stop: threading.Event,
        *,
        timing: WorkerTiming | None = None,
        method: Method = solve_exactly,
        place: SearchPlace = HERE,
    ) -> None:
        self._sessions = sessions
        self._now = now
        self._stop = stop
        self._timing = timing or WorkerTiming()
        self._method = method
        self._place = place
        self._shelf = ModelShelf()
        self._owner = f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"

    def run(self) -> None:
        """Work until asked to stop; a database that is away is waited for."""
        while not self._stop.is_set():
            try:
                is_idle = self.work_once() is None and not self.fit_one()
            except DATABASE_AWAY as error:
                log.warning("database unavailable, trying again: %s", error.orig)
                is_idle = True
            if is_idle:
                self._stop.wait(self._timing.poll_s)

    def fit_one(self) -> bool:
        """Fit one thing that forecasts are waiting for; false where there is none."""
        now = self._now()
        if not self._shelf.may_look(now):
            return False
        if self._fit_model(now) or self._fit_forecasts(now):
            return True
        self._shelf.looked_in_vain(now)
        return False

    def _fit_forecasts(self, now: datetime) -> bool:
        """Fit how long errors last of one site's forecasts; false where all are on record."""
        with transaction(self._sessions) as session:
            due = fits_due(session, now)
        if due is None:
            return False
        rows = fit_site(due)
        with transaction(self._sessions) as session:
            store_fits(session, rows)
        return True

    def _fit_model(self, now: datetime) -> bool:
        """Fit one boosted model; false where there is none to fit."""
        with transaction(self._sessions) as session:
            due = model_due(session, self._shelf, now)
        if due is None:
            return False
        model = None
        try:
            model = fit_model(due)
        except Exception:
            # Plans are made with the blend, and it is tried again in a day.
            log.exception("model of %s at %s: not fitted", due.key.kind.value, due.key.site)
        self._shelf.put(due.key, model, now)
        return True

    def work_once(self) -> UUID | None:
        """Do the oldest run there is; return its id, or ``None`` where there was none."""
        with transaction(self._sessions) as session:
            lease_now = system_now()
            give_up_hopeless(session, self._now(), lease_now)
            run = claim_run(session, self._owner, self._now(), lease_now, self._timing.lease_s)
        if run is None:
            return None
        lease = Lease(run.id, self._owner)
        log.info("run %s (%s): attempt %d", run.id, run.trigger_key, run.attempts)
        try:
            self._plan(lease, run.time_limit_s)
        except Stopped:
            self._persist(lambda session: give_back(session, lease))
        except LeaseLost as error:
            log.warning("%s; its result is dropped", error)
        except DATABASE_AWAY:
            raise  # the lease runs out, and the run is taken again
        except Exception as error:
            log.exception("run %s failed", run.id)
            reason = f"{type(error).__name__}: {error}"
            self._persist(lambda session: fail_run(session, lease, self._now(), reason))
        return run.id

    def _plan(self, lease: Lease, time_limit_s: float) -> None:
        """Read, assemble, solve, store."""
        self._issue_forecasts(lease)
        inputs = self._read(lease)
        prepared = prepare(inputs, time_limit_s)
        assembled = prepared.assembled
        doubt = doubt_of(inputs.fleet.planning, assembled)
        task = SolveTask(assembled.problem, prepared.limits, prepared.last_plan, self._place, doubt)
        allowed_s = time_limit_s * self._timing.overrun_factor + self._timing.overrun_s
        try:
            solved = self._solve(lease, task, self._method, allowed_s)
        except ChildFailed as error:
            log.warning("run %s: %s; planning greedily instead", lease.run_id, error)
            solved = self._solve(lease, task, solve_greedily, self._timing.greedy_s)
            assembled = replace(assembled, marks=(*assembled.marks, f"solver: {error}"))
        self._store(lease, inputs, assembled, solved)

    def _issue_forecasts(self, lease: Lease) -> None:
        """Forecast what is not published and put it on record, for ``_read`` to find."""
        due = self._persist(
            lambda session: forecasts_for(session, get_run(session, lease.run_id), self._now())
        )
        if due:
            issued = issue_due(due, self._shelf, self._now())
            self._hold(lease)
            self._persist(lambda session: store_forecasts(session, issued))

    def _read(self, lease: Lease) -> Inputs:
        return self._persist(
            lambda session: read_inputs(session, get_run(session, lease.run_id), self._now())
        )

    def _persist(self, unit: Callable[[Session], T]) -> T:
        """Do one unit of work, again and again for as long as a lease while the database is away.

        A commit whose answer was lost is no harm: every change of a run is conditional on holding
        it, and the second try finds that it was done.
        """
        began = time.monotonic()
        while True:
            try:
                with transaction(self._sessions) as session:
                    return unit(session)
            except DATABASE_AWAY as error:
                if time.monotonic() - began > self._timing.lease_s:
                    raise
                log.warning("database unavailable, trying again: %s", error.orig)
                time.sleep(min(self._timing.poll_s, self._timing.renew_s))

    def _solve(self, lease: Lease, task: SolveTask, method: Method, allowed_s: float) -> Solved:
        """Have ``task`` solved; the child is dead when this returns or raises."""
        timing = self._timing
        began = renewed = time.monotonic()
        progress: Progress | None = None
        with SolverProcess(task, method) as child:
            while True:
                message = child.receive(min(0.2, timing.renew_s))
                if isinstance(message, Solved):
                    return message
                progress = message or progress
                if self._stop.is_set():
                    raise Stopped
                now_s = time.monotonic()
                if now_s - began > allowed_s:
                    limit_s = task.limits.time_limit_s
                    raise ChildFailed(
                        f"the solver was killed after {allowed_s:.0f} s (time limit {limit_s:g} s)"
                    )
                if now_s - renewed >= timing.renew_s and self._renew(lease, progress, renewed):
                    renewed = now_s

    def _renew(self, lease: Lease, progress: Progress | None, renewed_s: float) -> bool:
        """Renew the lease; false where the database is away and the lease still runs."""
        try:
            with transaction(self._sessions) as session:
                held = renew_lease(session, lease, system_now(), self._timing.lease_s, progress)
        except DATABASE_AWAY as error:
            log.warning("run %s: lease not renewed: %s", lease.run_id, error.orig)
            held = time.monotonic() - renewed_s < self._timing.lease_s
            if held:
                return False
        if not held:
            raise LeaseLost(f"planning run {lease.run_id} was cancelled or taken")
        return True

    def _hold(self, lease: Lease) -> None:
        """Renew the lease, with the patience of ``_persist``."""
        lease_s = self._timing.lease_s
        if not self._persist(lambda session: renew_lease(session, lease, system_now(), lease_s)):
            raise LeaseLost(f"planning run {lease.run_id} was cancelled or taken")

    def _store(self, lease: Lease, inputs: Inputs, assembled: Assembled, solved: Solved) -> None:
        document = make_document(inputs.fleet, assembled, solved.plan, solved.baseline, self._now())
        # What takes long is done between transactions, with the lease renewed before and after.
        self._hold(lease)
        reviewed = review(document, self._persist(read_in_force))
        self._hold(lease)
        version = inputs.fleet_version
        stored = self._persist(
            lambda session: store_result(session, lease, document, reviewed, version, self._now())
        )
        log.info("run %s: plan %s is %s", lease.run_id, stored.id, stored.status.value)
