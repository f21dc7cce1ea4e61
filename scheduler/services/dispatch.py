"""Dispatch: compare what the plan wants now with what the clusters report, and send the difference.

Level-triggered: every tick looks at everything anew, so a lost tick, a lost command or a crash is
made up for by the next one. Each tick reads, observes, decides, records what it is about to do,
sends it, and records what came of it, in this order; no transaction is open while it waits for the
outside.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from scheduler.db.models import CommandKind, CommandOutcome
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.dispatch_follow import (
    Surroundings,
    end_strays,
    follow,
    follow_transfers,
    record_followed,
)
from scheduler.services.dispatch_identity import keep_known
from scheduler.services.dispatch_lines import Lines
from scheduler.services.dispatch_observe import ANSWER_S, Observed, observe
from scheduler.services.dispatch_recent import read_recent
from scheduler.services.dispatch_records import (
    OpenJob,
    governing_plan,
    open_jobs,
    record_intent,
    record_outcome,
    succeeded_among,
)
from scheduler.services.dispatch_send import Recorded, Sent, send_all
from scheduler.services.dispatch_types import Command, Situation
from scheduler.services.dispatch_wants import Want, battery_power_at, wants_at
from scheduler.services.outside import Outside, OutsideOf
from scheduler.services.plan_document import PlanDocument
from scheduler.services.plans import read_document
from scheduler.services.pool_states import record_pools
from scheduler.services.transfers import OpenTransfer, open_transfers
from scheduler.specs import FleetSpec
from scheduler.timekeeping import Now

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick did. ``silent_sites`` are those whose cluster did not answer."""

    plan: UUID | None
    sent: tuple[Sent, ...] = ()
    silent_sites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database says at the start of a tick, and what the plan wants then of each job."""

    now: datetime
    fleet: FleetSpec
    plan_id: UUID | None
    plan: PlanDocument | None
    jobs: tuple[OpenJob, ...]
    transfers: tuple[OpenTransfer, ...]
    succeeded: frozenset[str]
    wants: Mapping[str, Want]

    @property
    def slot(self) -> int | None:
        """The plan's slot."""
        return None if self.plan is None else self.plan.window.slot_of(self.now)


class Dispatcher:
    """Carries out the plan in force, one tick at a time.

    ``answer_s`` is how long a cluster or battery has to answer [s of real time]; a tick takes
    little longer than twice that, whoever hangs.
    """

    def __init__(
        self,
        sessions: SessionFactory,
        outside_of: OutsideOf,
        now: Now,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._sessions = sessions
        self._outside_of = outside_of
        self._now = now
        self._answer_s = answer_s
        self._lines = Lines()
        self._plan: tuple[UUID, PlanDocument] | None = None
        # What each battery was last told, and for which slot of which plan.
        self._told: dict[tuple[str, str], tuple[UUID | None, int | None]] = {}

    def tick(self) -> Tick:
        """Look at everything and send what differs."""
        known = self._read()
        if known is None:
            return Tick(None)
        outside = self._outside_of(known.fleet)
        answered = observe(self._lines, outside, self._answer_s)
        observed = self._known_of(known, answered)
        recorded = self._decide(known, observed)
        sent = tuple(self._send(outside, recorded, known))
        silent = tuple(site for site in outside.clusters if site not in observed.clusters)
        return Tick(known.plan_id, sent, silent)

    def _send(
        self, outside: Outside, recorded: Sequence[Recorded], known: _Known
    ) -> Iterator[Sent]:
        """Send, and record what came of each command as it comes."""
        jobs = {job.row.id: job for job in known.jobs}
        for one in send_all(self._lines, outside, recorded, self._answer_s):
            job_id = one.recorded.command.job_id
            with transaction(self._sessions) as session:
                record_outcome(session, one, jobs.get(job_id) if job_id else None, self._now())
            self._note(one, known)
            yield one

    def _read(self) -> _Known | None:
        now = self._now()
        with transaction(self._sessions) as session:
            version = fleets.find_current(session)
            if version is None:
                return None
            plan_id = governing_plan(session, now)
            if plan_id is not None and (self._plan is None or self._plan[0] != plan_id):
                self._plan = plan_id, read_document(session, plan_id)
            plan = self._plan[1] if plan_id is not None and self._plan is not None else None
            jobs = open_jobs(session)
            names = {name for job in jobs for name in job.spec.after}
            return _Known(
                now=now,
                fleet=fleets.spec_of(version),
                plan_id=plan_id,
                plan=plan,
                jobs=tuple(jobs),
                transfers=open_transfers(session),
                succeeded=frozenset(succeeded_among(session, names)),
                wants={} if plan is None else wants_at(plan, now),
            )

    def _known_of(self, known: _Known, observed: Observed) -> Observed:
        """Return what those say that were given the jobs."""
        busy = {job.row.site for job in known.jobs if job.row.site is not None}
        busy |= {transfer.row.site for transfer in known.transfers}
        with transaction(self._sessions) as session:
            return keep_known(session, observed, busy, known.now)

    def _decide(self, known: _Known, observed: Observed) -> list[Recorded]:
        """Decide and record, in one transaction, what was seen and what is about to be sent."""
        now = known.now
        free_gpus = observed.free_gpus(known.fleet)
        sites = tuple(site.name for site in known.fleet.sites)
        links = {(link.from_site, link.to_site): link for link in known.fleet.links}
        situation = Situation(now, sites, free_gpus, links)
        commands = self._battery_commands(known, observed)
        with transaction(self._sessions) as session:
            record_pools(session, observed, known.fleet, now)
            recent = read_recent(session, [job.row.id for job in known.jobs], now)
            transfers = follow_transfers(session, known.transfers, observed, situation)
            around = Surroundings(
                observed, situation, recent, known.succeeded, known.wants, transfers
            )
            for job in known.jobs:
                followed = follow(job, around)
                if followed is None:
                    continue
                record_followed(session, job, followed, now)
                for command in followed.decision.commands:
                    commands.append(command)
                    if command.gpus_to_take is not None:
                        pool, gpus = command.gpus_to_take
                        free_gpus[command.site, pool] -= gpus
            commands += end_strays(session, known.jobs, observed, now)
            intents = [record_intent(session, each, known.plan_id, now) for each in commands]
        return [intent for intent in intents if intent is not None]

    def _battery_commands(self, known: _Known, observed: Observed) -> list[Command]:
        """One command for each battery in every slot; without a plan each rests.

        The state of charge it stands at is recorded with it, for the next plan to begin from.
        """
        planned = {} if known.plan is None else battery_power_at(known.plan, known.now)
        return [
            Command(
                CommandKind.BATTERY_POWER,
                battery[0],
                detail={
                    "battery": battery[1],
                    "power_kw": planned.get(battery, 0.0),
                    "soc_kwh": telemetry.soc_kwh,
                },
            )
            for battery, telemetry in observed.batteries.items()
            if self._told.get(battery, ()) != (known.plan_id, known.slot)
        ]

    def _note(self, sent: Sent, known: _Known) -> None:
        """Remember what a battery was told or refused; log what was not done."""
        command = sent.recorded.command
        if sent.outcome is not CommandOutcome.DONE:
            log.warning("%s at %s: %s", command.kind.value, command.site, sent.error)
        is_settled = sent.outcome in {CommandOutcome.DONE, CommandOutcome.REFUSED}
        if is_settled and command.kind is CommandKind.BATTERY_POWER:
            self._told[command.site, command.detail["battery"]] = (known.plan_id, known.slot)
