"""Once a minute: the energy of jobs whose runs are over, of who keeps account of it.

Beside dispatch and not in it, and level-triggered like it: what is not settled is asked for again,
so an account that is away, or gets its records late, delays nothing and loses nothing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from connectors.types import StartEnergy
from scheduler.db.session import SessionFactory, transaction
from scheduler.services import fleet as fleets
from scheduler.services.dispatch_lines import Lines
from scheduler.services.dispatch_observe import ANSWER_S, ask_all
from scheduler.services.job_energy import record_energy, unsettled_jobs
from scheduler.services.outside import OutsideOf
from scheduler.timekeeping import Now, seconds_to_next_minute

log = logging.getLogger(__name__)

ASKED_FOR = timedelta(days=7)  # after its end a job is asked for no longer than this
JOBS_AT_ONCE = 200


class EnergyWatch:
    """Asks for the energy of jobs and records it: one question for each site and look.

    ``answer_s`` is how long an account has to answer [s of real time], ``jobs_at_once`` of how many
    jobs it is asked at most; the others have their turn in the next looks.
    """

    def __init__(
        self,
        sessions: SessionFactory,
        outside_of: OutsideOf,
        now: Now,
        answer_s: float = ANSWER_S,
        jobs_at_once: int = JOBS_AT_ONCE,
    ) -> None:
        self._sessions = sessions
        self._outside_of = outside_of
        self._now = now
        self._answer_s = answer_s
        self._jobs_at_once = jobs_at_once
        self._lines = Lines()
        self._asked_up_to: dict[str, UUID] = {}

    def look(self) -> None:
        """Ask every account once, where there is anything to ask."""
        now = self._now()
        with transaction(self._sessions) as session:
            version = fleets.find_current(session)
            fleet = None if version is None else fleets.spec_of(version)
        if fleet is None:
            return
        accounts = self._outside_of(fleet).accounts
        jobs = self._whose_turn_it_is(accounts, now)
        calls = {
            site: partial(accounts[site].energy, [str(job) for job in some])
            for site, some in jobs.items()
        }
        answers = ask_all(self._lines, calls, self._answer_s)
        with transaction(self._sessions) as session:
            for site, found in answers.items():
                credible = [one for one in found if _is_credible(site, one)]
                record_energy(session, site, jobs[site], credible, now)

    def seconds_to_next(self) -> float:
        """Return how long it is to the next minute [s]."""
        return seconds_to_next_minute(self._now())

    def _whose_turn_it_is(self, sites: Collection[str], now: datetime) -> dict[str, list[UUID]]:
        with transaction(self._sessions) as session:
            turns = {site: self._turn(session, site, now) for site in sites}
        return {site: jobs for site, jobs in turns.items() if jobs}

    def _turn(self, session: Session, site: str, now: datetime) -> list[UUID]:
        """Return the jobs behind those asked for last; behind the last, the first again."""
        behind = partial(
            unsettled_jobs,
            session,
            site,
            ended_since=now - ASKED_FOR,
            at_most=self._jobs_at_once,
        )
        jobs = behind(self._asked_up_to.pop(site, None)) or behind(None)
        if len(jobs) == self._jobs_at_once:
            self._asked_up_to[site] = jobs[-1]
        return jobs


def _is_credible(site: str, found: StartEnergy) -> bool:
    """Whether it is an energy; a database would take some of what is none."""
    if found.kwh is None or 0 <= found.kwh < math.inf:
        return True
    log.error("site %s: job %s used %s kWh, must be >= 0 and finite", site, found.key, found.kwh)
    return False
