"""How published forecasts are bettered: fitted once a day by idle workers, kept for plans.

Plans wait for no fit: until there is one, forecasts are planned with as they were published. Fits
are kept as they were made, so that every process does alike, and what a plan saw can be told.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from connectors.types import SignalKind
from scheduler.db.inserts import insert_new
from scheduler.db.models import ForecastFit
from scheduler.forecasting import Decay, Weights
from scheduler.services import fleet as fleets
from scheduler.services.corrected_signals import LONGEST
from scheduler.services.published_forecasts import Fits, bettered, fitted
from scheduler.services.signal_inputs import FITTED_OVER
from scheduler.services.signal_store import Wanted, all_values, expected_values, known_values
from scheduler.services.weighed_signals import NEEDS_BEFORE, WEIGHED_KINDS
from scheduler.specs import FleetSpec
from scheduler.specs.base import EARLIEST

log = logging.getLogger(__name__)

LASTS = timedelta(days=1)
MOST_AGE = timedelta(days=7)
"""A fit older than this is not used: what it was made from may be another source."""
KEPT_DAYS = 400
_DIGITS = 4
_ANY_MINUTES = 60  # of a signal of which nothing could be told


@dataclass(frozen=True, slots=True, eq=False)
class FitsDue:
    """The signals of a site that are to be fitted, and all they are fitted to."""

    site: str
    fitted_at: datetime
    known: pd.DataFrame
    expected: pd.DataFrame
    every: pd.DataFrame


def fits_due(session: Session, now: datetime) -> FitsDue | None:
    """Return a site whose fits are a day old or that has none; None where there is none."""
    version = fleets.find_current(session)
    if version is None:
        return None
    fleet = fleets.spec_of(version)
    if not fleet.planning.correct_published:
        return None
    newest = select(ForecastFit.site, func.max(ForecastFit.fitted_at))
    by_site = session.execute(newest.group_by(ForecastFit.site))
    fitted_at = {row.site: row[1] for row in by_site}
    for site in fleet.sites:
        if site.name not in fitted_at or now - fitted_at[site.name] >= LASTS:
            wanted = Wanted(now - FITTED_OVER - NEEDS_BEFORE, now, (site.name,), WEIGHED_KINDS)
            return FitsDue(
                site=site.name,
                fitted_at=now,
                known=known_values(session, wanted, now),
                expected=expected_values(session, wanted, now),
                every=all_values(session, wanted, EARLIEST, now, with_rejected=False),
            )
    return None


def fit_site(due: FitsDue) -> list[dict[str, Any]]:
    """Fit every signal of a site; an empty fit where nothing can be told, not to try at once."""
    try:
        found = fitted(due.known, due.expected, due.every, due.fitted_at)
    except Exception:
        # Plans are made with what was published, and it is tried again in a day.
        log.exception("errors of forecasts at %s: not fitted", due.site)
        found = Fits({}, {})
    return [_as_row(due, kind, found) for kind in WEIGHED_KINDS]


def store_fits(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Keep fits, and forget old ones; one on record of the very same instant stands."""
    insert_new(session, ForecastFit, rows)
    newest: datetime = max(row["fitted_at"] for row in rows)
    too_old = ForecastFit.fitted_at < newest - timedelta(days=KEPT_DAYS)
    session.execute(delete(ForecastFit).where(too_old))


def known_fits(session: Session, sites: Sequence[str], known_at: datetime) -> Fits:
    """Return the newest fit of each signal that was made in the week before ``known_at``."""
    rows = session.scalars(
        select(ForecastFit)
        .where(
            ForecastFit.site.in_(sites),
            ForecastFit.fitted_at <= known_at,
            ForecastFit.fitted_at > known_at - MOST_AGE,
        )
        .order_by(ForecastFit.fitted_at)
    )
    newest = {(row.site, row.kind): row for row in rows}
    return Fits(
        weights={
            signal: Weights(row.minutes, np.array(row.weights, dtype=float))
            for signal, row in newest.items()
            if row.weights
        },
        decays={
            signal: Decay(row.minutes, np.array(row.left, dtype=float))
            for signal, row in newest.items()
            if row.left
        },
    )


def with_fits(
    session: Session, fleet: FleetSpec, signals: pd.DataFrame, now: datetime
) -> pd.DataFrame:
    """Return ``signals`` with their forecasts weighed and pulled, if the fleet wants them so.

    Parameters
    ----------
    signals
        As of ``signals_frame``, of two days before ``now`` and what follows.
    """
    if not fleet.planning.correct_published:
        return signals
    sites = [site.name for site in fleet.sites]
    fits = known_fits(session, sites, now)
    if not (fits.weights or fits.decays):
        return signals
    lately = Wanted(now - LONGEST, now, sites, WEIGHED_KINDS)
    before = replace(lately, start=lately.start - NEEDS_BEFORE)
    expected = expected_values(session, lately, now)
    return bettered(signals, known_values(session, before, now), expected, now, fits)


def _as_row(due: FitsDue, kind: SignalKind, fits: Fits) -> dict[str, Any]:
    decay, weights = fits.decays.get((due.site, kind)), fits.weights.get((due.site, kind))
    left = [] if decay is None else np.round(decay.left, _DIGITS).tolist()
    lengths = [fit.minutes for fit in (decay, weights) if fit is not None]
    return {
        "site": due.site,
        "kind": kind,
        "fitted_at": due.fitted_at,
        "minutes": lengths[0] if lengths else _ANY_MINUTES,
        "left": left,
        "weights": [] if weights is None else np.round(weights.by_age, _DIGITS).tolist(),
    }
