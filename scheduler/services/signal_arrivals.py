"""Values that came in are looked at: what is suspicious is flagged, and used all the same.

An upload of some values of a signal is looked at as it comes. What comes in less at a time, as from
a stream, is looked at by the signal watch, a minute of it at once: it means reading four weeks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.types import SignalKind
from scheduler.db.models import SignalFlag, SignalSeries, SignalVerdict, Verdict
from scheduler.quality import HISTORY_DAYS, Finding, Rule, Series, examine
from scheduler.services.signal_store import (
    Standing,
    Wanted,
    all_values,
    flags_standing,
    known_values,
)
from scheduler.specs import FleetSpec

LEAST_AT_ONCE = 12
"""Values of one signal that are looked at as they come; fewer wait for the watch."""

BY_ITSELF = "gridtide"  # who decides that a gap is no more
_AHEAD = timedelta(days=31)
_BACK = timedelta(days=2)
_MOST_FLAGS = 1000  # of one look at one signal


@dataclass(frozen=True, slots=True)
class Arrivals:
    """New values of one signal from one source.

    ``values`` has the columns ``start_at``, ``minutes``, ``value`` and ``known_at``.
    """

    series: SignalSeries
    source: str
    values: pd.DataFrame

    @property
    def key(self) -> tuple[str, SignalKind]:
        """Site and kind."""
        return self.series.site, self.series.kind

    @property
    def newest_known_at(self) -> datetime:
        """When the last of them became known."""
        newest: datetime = self.values["known_at"].max().to_pydatetime()
        return newest

    @property
    def wanted(self) -> Wanted:
        """What is to be known to judge them: four weeks before, and their own time."""
        margin = timedelta(days=1)  # values an hour off are looked for half a day away
        starts = self.values["start_at"]
        return Wanted(
            starts.min().to_pydatetime() - timedelta(days=HISTORY_DAYS) - margin,
            starts.max().to_pydatetime() + margin,
            (self.series.site,),
            (self.series.kind,),
        )


def look_at(
    session: Session, fleet: FleetSpec, arrivals: Arrivals, known: pd.DataFrame, now: datetime
) -> int:
    """Flag what is suspicious about ``arrivals`` and return how many flags are new.

    ``known`` is what was known before they came. The caller holds the lock of the series.
    """
    series, values = arrivals.series, arrivals.values
    fresh = Series.of(values)
    by_start = values.sort_values("start_at", kind="stable")
    site = next((site for site in fleet.sites if site.name == series.site), None)
    found = examine(
        series.kind,
        Series.of(known),
        fresh,
        by_start["known_at"].dt.as_unit("s").astype("int64").to_numpy() // 60,
        now_minute=int(now.timestamp()) // 60,
        max_age_hours=fleet.planning.max_signal_age_hours,
        time_zone="UTC" if site is None else site.time_zone,
    )
    wanted = arrivals.wanted
    before = flags_standing(session, wanted, now)
    _close_gaps(session, before, Series.of(known).then(fresh), now)
    flags = [_flag(arrivals, finding, by_start, now) for finding in found[:_MOST_FLAGS]]
    new = [flag for flag in flags if not any(_covers(one.flag, flag) for one in before)]
    session.add_all(new)
    session.flush()
    return len(new)


def is_looked_at(series: SignalSeries) -> bool:
    """Whether nothing of a signal waits to be looked at."""
    newest, examined = series.newest_known_at, series.examined_at
    return newest is None or (examined is not None and examined >= newest)


def look_at_waiting(session: Session, fleet: FleetSpec, now: datetime) -> int:
    """Look at everything that came in since it last was; return how many flags are new.

    What is dated before what was looked at already, as a straggler of a stream may be, is not.
    """
    rows = session.scalars(
        select(SignalSeries)
        .where(SignalSeries.newest_known_at.is_not(None))
        .where(
            SignalSeries.examined_at.is_(None)
            | (SignalSeries.examined_at < SignalSeries.newest_known_at)
        )
        .order_by(SignalSeries.site, SignalSeries.kind)
        .with_for_update()
    )
    return sum(_look_at_series(session, fleet, row, now) for row in rows)


def _look_at_series(session: Session, fleet: FleetSpec, series: SignalSeries, now: datetime) -> int:
    newest = series.newest_known_at
    if newest is None:
        return 0
    since = series.examined_at or newest - _BACK
    window = Wanted(now - _BACK, now + _AHEAD, (series.site,), (series.kind,))
    came = all_values(session, window, since, newest)
    n_flags = 0
    for source, values in came.groupby("source", sort=True):
        newest_of_each = values.sort_values("known_at").drop_duplicates("start_at", keep="last")
        arrivals = Arrivals(series, str(source), newest_of_each)
        known = known_values(session, arrivals.wanted, since)
        n_flags += look_at(session, fleet, arrivals, known, now)
    series.examined_at = newest
    return n_flags


def known_before(
    session: Session, arrivals: Sequence[Arrivals], known_at: datetime
) -> Mapping[tuple[str, SignalKind], pd.DataFrame]:
    """Read at once what is to be known to judge ``arrivals``, by signal."""
    wanted = [one.wanted for one in arrivals]
    every = Wanted(
        min(one.start for one in wanted),
        max(one.end for one in wanted),
        {one.series.site for one in arrivals},
        {one.series.kind for one in arrivals},
    )
    frame = known_values(session, every, known_at)
    return {
        (one.series.site, one.series.kind): frame[
            (frame["site"] == one.series.site) & (frame["kind"] == one.series.kind)
        ]
        for one in arrivals
    }


def _flag(arrivals: Arrivals, finding: Finding, values: pd.DataFrame, now: datetime) -> SignalFlag:
    inside = (values["start_at"] >= finding.start_at) & (values["start_at"] < finding.end_at)
    known = values["known_at"][inside] if inside.any() else values["known_at"]
    return SignalFlag(
        site=arrivals.series.site,
        kind=arrivals.series.kind,
        source=arrivals.source,
        start_at=finding.start_at,
        end_at=finding.end_at,
        known_from=known.min().to_pydatetime(),
        known_to=known.max().to_pydatetime(),
        rule=finding.rule,
        n_values=finding.n_values,
        reason=finding.reason,
        flagged_at=now,
    )


def _covers(flag: SignalFlag, other: SignalFlag) -> bool:
    """Whether one says what the other does: what is looked at twice is found twice."""
    same_series = (flag.site, flag.kind, flag.rule) == (other.site, other.kind, other.rule)
    same_values = flag.rule is Rule.GAP or (
        flag.source == other.source and flag.known_from <= other.known_from <= flag.known_to
    )
    same_span = flag.start_at <= other.start_at and other.end_at <= flag.end_at
    return same_series and same_values and same_span


def _close_gaps(session: Session, flags: Sequence[Standing], known: Series, now: datetime) -> None:
    """Decide that gaps which have values by now are none any more."""
    for standing in flags:
        flag = standing.flag
        if flag.rule is Rule.GAP and standing.is_open:
            first_hour = int(flag.start_at.timestamp()) // 3600
            n_hours = -(-int(flag.end_at.timestamp()) // 3600) - first_hour
            if not np.isnan(known.by_hour(first_hour, n_hours)).any():
                note = "values came"
                session.add(
                    SignalVerdict(
                        flag_id=flag.id,
                        decided_at=now,
                        verdict=Verdict.CONFIRMED,
                        decided_by=BY_ITSELF,
                        note=note,
                    )
                )
