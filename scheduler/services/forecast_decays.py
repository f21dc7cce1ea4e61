"""How long errors of published forecasts last: fitted once a day by idle workers, kept for plans.

Plans wait for no fit: until there is one, forecasts are planned with as they were published. Fits
are kept as they were made, so that every process corrects alike, and what a plan saw can be told.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from connectors.types import SignalKind
from scheduler.db.inserts import insert_new
from scheduler.db.models import ForecastDecay
from scheduler.forecasting import Decay
from scheduler.services import fleet as fleets
from scheduler.services.corrected_signals import (
    HISTORY,
    LEAST,
    LONGEST,
    Decays,
    corrected_by_measured,
    fitted_decays,
)
from scheduler.services.signal_store import Wanted, expected_values, known_values
from scheduler.specs import FleetSpec

log = logging.getLogger(__name__)

LASTS = timedelta(days=1)
MOST_AGE = timedelta(days=7)
"""A fit older than this is not used: what it was made from may be another source."""
KEPT_DAYS = 400
_DIGITS = 4
_ANY_MINUTES = 60  # of a signal of which nothing could be told


@dataclass(frozen=True, slots=True, eq=False)
class DecaysDue:
    """The signals of a site that are to be fitted, and all they are fitted to."""

    site: str
    fitted_at: datetime
    known: pd.DataFrame
    expected: pd.DataFrame


def decays_due(session: Session, now: datetime) -> DecaysDue | None:
    """Return a site whose fits are a day old or that has none; None where there is none."""
    version = fleets.find_current(session)
    if version is None:
        return None
    fleet = fleets.spec_of(version)
    if not fleet.planning.correct_published:
        return None
    newest = select(ForecastDecay.site, func.max(ForecastDecay.fitted_at))
    by_site = session.execute(newest.group_by(ForecastDecay.site))
    fitted = {row.site: row[1] for row in by_site}
    for site in fleet.sites:
        if site.name not in fitted or now - fitted[site.name] >= LASTS:
            wanted = Wanted(now - HISTORY, now, (site.name,), tuple(LEAST))
            known = known_values(session, wanted, now)
            return DecaysDue(site.name, now, known, expected_values(session, wanted, now))
    return None


def fit_decays(due: DecaysDue) -> list[dict[str, Any]]:
    """Fit every signal of a site; an empty fit where nothing can be told, not to try at once."""
    try:
        found = fitted_decays(due.known, due.expected, due.fitted_at)
    except Exception:
        # Plans are made with what was published, and it is tried again in a day.
        log.exception("errors of forecasts at %s: not fitted", due.site)
        found = {}
    return [_as_row(due, kind, found.get((due.site, kind))) for kind in LEAST]


def store_decays(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Keep fits, and forget old ones; one on record of the very same instant stands."""
    insert_new(session, ForecastDecay, rows)
    newest: datetime = max(row["fitted_at"] for row in rows)
    too_old = ForecastDecay.fitted_at < newest - timedelta(days=KEPT_DAYS)
    session.execute(delete(ForecastDecay).where(too_old))


def known_decays(session: Session, sites: Sequence[str], known_at: datetime) -> Decays:
    """Return the newest fit of each signal that was made in the week before ``known_at``."""
    rows = session.scalars(
        select(ForecastDecay)
        .where(
            ForecastDecay.site.in_(sites),
            ForecastDecay.fitted_at <= known_at,
            ForecastDecay.fitted_at > known_at - MOST_AGE,
        )
        .order_by(ForecastDecay.fitted_at)
    )
    newest = {(row.site, row.kind): row for row in rows}
    return {
        signal: Decay(row.minutes, np.array(row.left, dtype=float))
        for signal, row in newest.items()
        if row.left
    }


def with_corrections(
    session: Session, fleet: FleetSpec, signals: pd.DataFrame, now: datetime
) -> pd.DataFrame:
    """Return ``signals`` with their forecasts corrected, if the fleet wants them so.

    Parameters
    ----------
    signals
        As of ``signals_frame``, of two days before ``now`` and what follows.
    """
    if not fleet.planning.correct_published:
        return signals
    sites = [site.name for site in fleet.sites]
    decays = known_decays(session, sites, now)
    if not decays:
        return signals
    wanted = Wanted(now - LONGEST, now, sites, tuple(LEAST))
    return corrected_by_measured(signals, expected_values(session, wanted, now), now, decays)


def _as_row(due: DecaysDue, kind: SignalKind, decay: Decay | None) -> dict[str, Any]:
    left = [] if decay is None else [round(float(share), _DIGITS) for share in decay.left]
    return {
        "site": due.site,
        "kind": kind,
        "fitted_at": due.fitted_at,
        "minutes": _ANY_MINUTES if decay is None else decay.minutes,
        "left": left,
    }
