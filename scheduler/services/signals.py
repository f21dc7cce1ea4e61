"""Signals, kept bitemporally: what each value is for, and since when it was known.

A value is never changed. A later one for the same interval stands beside it, so that any plan can
be made again from what was known then.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import pandas as pd
from sqlalchemy.orm import Session

from connectors.types import SignalKind, Window
from scheduler.db.inserts import insert_new
from scheduler.db.models import SignalSeries, SignalValue
from scheduler.services import fleet
from scheduler.services.errors import Conflict, Invalid, Refusal
from scheduler.services.signal_arrivals import (
    LEAST_AT_ONCE,
    Arrivals,
    is_looked_at,
    known_before,
    look_at,
)
from scheduler.services.signal_inputs import FORECAST_PREFIX
from scheduler.services.signal_series import SeriesKey, count_in, lock_series
from scheduler.services.signal_store import Wanted, all_values, known_values
from scheduler.specs.base import EARLIEST, LATEST, MOST

LONGEST_MINUTES = 25 * 60  # a local day, where an hour comes twice
STEP_MINUTES = 5  # the shortest slot there is; intervals are whole steps of it
_MOST_REFUSALS = 20
_LEAST: dict[SignalKind, float] = {
    SignalKind.CARBON_INTENSITY: 0.0,
    SignalKind.PV: 0.0,
    SignalKind.WIND: 0.0,
    SignalKind.BASE_LOAD: 0.0,
    SignalKind.PUE: 1.0,
    SignalKind.ZONE_LOAD: 0.0,
    SignalKind.ZONE_LOAD_FORECAST: 0.0,
    SignalKind.IRRADIANCE: 0.0,
    SignalKind.AIR_TEMPERATURE: -273.15,
    SignalKind.WIND_SPEED: 0.0,
}


@dataclass(frozen=True, slots=True)
class SignalPoint:
    """One value for [start_at, start_at + minutes), in ``kind.unit``, as of ``known_at``."""

    site: str
    kind: SignalKind
    start_at: datetime
    minutes: int
    value: float
    known_at: datetime

    @property
    def key(self) -> tuple[str, SignalKind, datetime]:
        """What the value is for."""
        return self.site, self.kind, self.start_at

    @property
    def end_at(self) -> datetime:
        """End of its interval."""
        return self.start_at + timedelta(minutes=self.minutes)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of an upload."""

    inserted: int
    unchanged: int  # the same as what was known already


def insert_values(
    session: Session,
    points: Sequence[SignalPoint],
    source: str,
    now: datetime | None = None,
    *,
    look_at_once: bool = True,
) -> Stored:
    """Keep those of ``points`` that tell something new, and flag what is suspicious about them.

    Parameters
    ----------
    now
        When they came; ``None``: as soon as they were known.
    look_at_once
        False: they are looked at a minute later, by the signal watch; for what comes in a stream.

    Raises
    ------
    Invalid
        A site is unknown, a value is impossible for its kind, or intervals overlap.
    Conflict
        Another value is on record as known at the very same instant.
    """
    if source.startswith(FORECAST_PREFIX):
        limit = f"one that does not begin with {FORECAST_PREFIX}: so do forecasts of our own"
        raise Invalid(Refusal("upload", "source", source, limit))
    spec = fleet.required_spec(session)
    _require_acceptable(points, [site.name for site in spec.sites])
    series = lock_series(session, {point.key[:2] for point in points})
    on_record = _on_record(session, points, series)
    fresh = [p for p in points if not _tells_nothing_new(p, on_record.get(p.key, {}))]
    rows = [
        {
            "site": point.site,
            "kind": point.kind,
            "start_at": point.start_at,
            "known_at": point.known_at,
            "minutes": point.minutes,
            "value": point.value,
            "source": source,
        }
        for point in fresh
    ]
    arrivals = _to_look_at(fresh, series, source) if look_at_once else []
    known = (
        known_before(session, arrivals, max(point.known_at for point in points)) if arrivals else {}
    )
    inserted = insert_new(session, SignalValue, rows)
    if inserted < len(fresh):
        raise Conflict(f"{len(fresh) - inserted} values were stored by another upload meanwhile")
    settled = {one.key for one in arrivals if is_looked_at(one.series)}
    for point in fresh:
        is_new = point.key not in on_record
        count_in(series[point.key[:2]], point.start_at, point.end_at, point.known_at, is_new)
    for one in arrivals:
        look_at(session, spec, one, known[one.key], now or one.newest_known_at)
        if one.key in settled:
            one.series.examined_at = one.series.newest_known_at
    return Stored(inserted, len(points) - inserted)


def _to_look_at(
    fresh: Sequence[SignalPoint], series: Mapping[SeriesKey, SignalSeries], source: str
) -> list[Arrivals]:
    """Gather the signals of which so much came that it is looked at as it comes."""
    by_series: dict[SeriesKey, list[SignalPoint]] = {}
    for point in fresh:
        by_series.setdefault(point.key[:2], []).append(point)
    columns = ("start_at", "minutes", "value", "known_at")
    return [
        Arrivals(
            series[key],
            source,
            pd.DataFrame({name: [getattr(it, name) for it in points] for name in columns}),
        )
        for key, points in by_series.items()
        if len(points) >= LEAST_AT_ONCE
    ]


def points_of(table: pd.DataFrame, known_at: datetime) -> list[SignalPoint]:
    """Turn rows of a signals file into points; ``known_at`` is for those that do not state it.

    Raises ``Invalid`` where an instant lies outside of the years that specs take.
    """
    stated = table["known_at"].fillna(pd.Timestamp(known_at))
    for column, instants in (("start_at", table["start_at"]), ("known_at", stated)):
        outside = instants[(instants < EARLIEST) | (instants >= LATEST)]
        if not outside.empty:
            limit = f"within [{EARLIEST:%Y-%m-%d}, {LATEST:%Y-%m-%d})"
            raise Invalid(Refusal("signals file", column, str(outside.iloc[0]), limit))
    return [
        SignalPoint(
            site=row["site"],
            kind=SignalKind(row["kind"]),
            start_at=row["start_at"].to_pydatetime(),
            minutes=int(row["minutes"]),
            value=float(row["value"]),
            known_at=row["known_at"].to_pydatetime(),
        )
        for row in table.assign(known_at=stated).to_dict("records")
    ]


def signals_frame(session: Session, window: Window, known_at: datetime) -> pd.DataFrame:
    """Give the values for ``window`` as they were known at ``known_at``; none that is rejected.

    Returns
    -------
    pandas.DataFrame
        Columns ``site``, ``kind`` (SignalKind), ``start_at`` and ``known_at`` (UTC), ``minutes``,
        ``value`` [``kind.unit``], ``source``, and ``is_flagged``: it is suspicious, and nobody had
        decided on it. One row for each interval that overlaps the window, in order of site, kind
        and start.
    """
    earliest = window.start - timedelta(minutes=LONGEST_MINUTES)
    frame = known_values(session, Wanted(earliest, window.end), known_at)
    ends = frame["start_at"] + pd.to_timedelta(frame["minutes"], unit="min")
    return frame[ends > window.start].reset_index(drop=True)


def latest_values(
    session: Session, site: str, kind: SignalKind, window: Window, known_at: datetime
) -> list[SignalPoint]:
    """Values of one signal in ``window`` as known at ``known_at``, in order of time."""
    wanted = Wanted(window.start, window.end, (site,), (kind,))
    frame = known_values(session, wanted, known_at)
    return [
        SignalPoint(site, kind, start.to_pydatetime(), int(minutes), float(value), known)
        for start, minutes, value, known in zip(
            frame["start_at"],
            frame["minutes"],
            frame["value"],
            frame["known_at"].dt.to_pydatetime(),
            strict=True,
        )
    ]


_Known = dict[datetime, tuple[int, float]]  # known_at -> minutes, value


def _on_record(
    session: Session, points: Sequence[SignalPoint], series: Mapping[SeriesKey, SignalSeries]
) -> dict[tuple[str, SignalKind, datetime], _Known]:
    """Read what is known of the intervals of ``points`` as of each one's instant, rejected or not.

    Of what was known before the first of them only the last is read, however often it was revised;
    what became known after the last of them is read as well, where there is any.
    """
    if not points:
        return {}
    starts = [point.start_at for point in points]
    known = [point.known_at for point in points]
    wanted = Wanted(
        min(starts),
        max(starts) + timedelta(minutes=1),
        {point.site for point in points},
        {point.kind for point in points},
    )
    frames = [known_values(session, wanted, min(known), with_rejected=True)]
    if max(known) > min(known):
        frames.append(all_values(session, wanted, min(known), max(known)))
    newest = [one.newest_known_at for one in series.values() if one.newest_known_at is not None]
    if newest and max(newest) > max(known):
        frames.append(all_values(session, wanted, max(known), max(newest)))
    keys = {point.key for point in points}
    on_record: dict[tuple[str, SignalKind, datetime], _Known] = {}
    for frame in frames:
        instants = (frame[name].dt.to_pydatetime() for name in ("start_at", "known_at"))
        rest = (frame[name] for name in ("site", "kind", "minutes", "value"))
        for start, known_at, site, kind, minutes, value in zip(*instants, *rest, strict=True):
            if (key := (site, kind, start)) in keys:
                on_record.setdefault(key, {})[known_at] = (minutes, value)
    return on_record


def _tells_nothing_new(point: SignalPoint, known: _Known) -> bool:
    """Whether the value last known by then was the same.

    One that was rejected counts too: a source that says it again does not bring it back.
    """
    now = (point.minutes, point.value)
    if known.get(point.known_at, now) != now:
        raise Conflict(
            f"site {point.site}: {point.kind.value} at {point.start_at.isoformat()} known at"
            f" {point.known_at.isoformat()} is on record as {known[point.known_at][1]!r}"
        )
    before = [at for at in known if at <= point.known_at]
    return bool(before) and known[max(before)] == now


def _require_acceptable(points: Sequence[SignalPoint], sites: Sequence[str]) -> None:
    # Where a single value is impossible, ends of intervals may not be instants at all.
    refusals = [*impossible_values(points, sites)] or [*_overlaps(points)]
    if refusals:
        raise Invalid(*refusals[:_MOST_REFUSALS])


def impossible_values(points: Iterable[SignalPoint], sites: Sequence[str]) -> Iterable[Refusal]:
    """Name what can be true of no signal, or of none of these sites."""
    for point in points:
        owner = f"signal {point.site}/{point.kind.value} at {point.start_at.isoformat()}"
        least = _LEAST.get(point.kind, -MOST)
        if point.site not in sites:
            yield Refusal(owner, "site", point.site, f"one of {', '.join(sites)}")
        if point.minutes % STEP_MINUTES or not 0 < point.minutes <= LONGEST_MINUTES:
            limit = f"a multiple of {STEP_MINUTES} in {STEP_MINUTES} .. {LONGEST_MINUTES}"
            yield Refusal(owner, "minutes", point.minutes, limit)
        if point.start_at.timestamp() % (STEP_MINUTES * 60):
            start = point.start_at.isoformat()
            yield Refusal(owner, "start_at", start, f"a multiple of {STEP_MINUTES} minutes")
        if not math.isfinite(point.value):
            yield Refusal(owner, "value", str(point.value), "a finite number")
        elif not least <= point.value <= MOST:
            limit = f"within [{least:g}, {MOST:g}] {point.kind.unit}"
            yield Refusal(owner, "value", point.value, limit)


def _overlaps(points: Iterable[SignalPoint]) -> Iterable[Refusal]:
    ordered = sorted(points, key=lambda point: point.key)
    for first, second in pairwise(ordered):
        if first.key[:2] == second.key[:2] and second.start_at < first.end_at:
            owner = f"signal {second.site}/{second.kind.value}"
            start = second.start_at.isoformat()
            yield Refusal(
                owner, "start_at", start, f">= {first.end_at.isoformat()}, where another ends"
            )
