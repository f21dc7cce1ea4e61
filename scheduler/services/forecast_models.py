"""Boosted models of a worker: fitted while it has nothing else to do, and kept for a day.

Planning never waits for a fit: a signal whose model is not on the shelf yet is forecast by the
blend. A restart costs the models, and some idle seconds for each.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.types import SignalKind
from scheduler.db.models import SignalForecast
from scheduler.forecasting import TooLittleHistory, known_history
from scheduler.forecasting.boosted import BoostedModel, MissingExtra, fit_boosted
from scheduler.services import fleet as fleets
from scheduler.services.own_forecasts import DRIVER_KINDS, Model, driver_of, traits_of
from scheduler.services.signal_store import Wanted, all_values, known_values
from scheduler.specs import ForecastMethod

log = logging.getLogger(__name__)

MODEL_DAYS = 420
LASTS = timedelta(days=1)
LOOK_EVERY = timedelta(minutes=1)
_LATELY = timedelta(days=2)  # a signal that was forecast within these will be again


@dataclass(frozen=True, slots=True)
class ModelKey:
    """What a model is of."""

    site: str
    kind: SignalKind
    minutes: int


@dataclass(frozen=True, slots=True, eq=False)
class ModelDue:
    """A model to be fitted, and all it is fitted to."""

    key: ModelKey
    n_leads: int
    end_at: datetime
    history: pd.DataFrame
    drivers: Mapping[SignalKind, pd.DataFrame]


class ModelShelf:
    """The models of one process, and since when each is there; of some there is none."""

    def __init__(self) -> None:
        self._models: dict[ModelKey, tuple[datetime, Model | None]] = {}
        self._in_vain_at: datetime | None = None

    def find(self, key: ModelKey) -> Model | None:
        """Return the model of ``key``, if there is one."""
        return self._models.get(key, (None, None))[1]

    def put(self, key: ModelKey, model: Model | None, now: datetime) -> None:
        """Keep a model, or that none can be fitted, for a day."""
        self._models[key] = now, model

    def is_due(self, key: ModelKey, now: datetime) -> bool:
        """Whether nobody has tried to fit it within a day."""
        return key not in self._models or now - self._models[key][0] >= LASTS

    def may_look(self, now: datetime) -> bool:
        """Whether nobody has looked in vain for a model to fit within a minute."""
        return self._in_vain_at is None or now - self._in_vain_at >= LOOK_EVERY

    def looked_in_vain(self, now: datetime) -> None:
        """Note that there was none to fit."""
        self._in_vain_at = now


def model_due(session: Session, shelf: ModelShelf, now: datetime) -> ModelDue | None:
    """Return a model that plans of the last days would have used and that is to be fitted."""
    version = fleets.find_current(session)
    if version is None:
        return None
    if fleets.spec_of(version).planning.forecast is not ForecastMethod.BOOSTED:
        return None
    lately = session.scalars(
        select(SignalForecast)
        .where(
            SignalForecast.issued_at > now - _LATELY,
            SignalForecast.asked == ForecastMethod.BOOSTED.value,
        )
        .order_by(SignalForecast.site, SignalForecast.kind, SignalForecast.issued_at.desc())
    )
    for forecast in lately:
        key = ModelKey(forecast.site, forecast.kind, forecast.minutes)
        if shelf.is_due(key, now):
            return _read(session, key, forecast, now)
    return None


def fit_model(due: ModelDue) -> Model | None:
    """Fit a model; ``None``, with a line in the log, where that is not possible."""
    key, end = due.key, pd.Timestamp(due.end_at)
    history = known_history(due.history, end, end, key.minutes, MODEL_DAYS)
    drivers = {kind: driver_of(rows, key.minutes, end) for kind, rows in due.drivers.items()}
    try:
        fitted = fit_boosted(history, traits_of(key.kind), due.n_leads, tuple(drivers.values()))
    except (TooLittleHistory, MissingExtra) as error:
        log.warning("no model of %s at %s: %s", key.kind.value, key.site, error)
        return None
    log.info("model of %s at %s: used in %s", key.kind.value, key.site, _used(fitted))
    return Model(fitted, tuple(drivers))


def _used(fitted: BoostedModel) -> str:
    return f"{int(fitted.is_used.sum())} of {len(fitted.is_used)} blocks of leads"


def _read(session: Session, key: ModelKey, forecast: SignalForecast, now: datetime) -> ModelDue:
    step = timedelta(minutes=key.minutes)
    end = pd.Timestamp(now).floor(step).to_pydatetime()
    start = end - timedelta(days=MODEL_DAYS)
    ahead = forecast.end_at - forecast.issued_at + timedelta(days=1)
    drivers = {}
    for kind in DRIVER_KINDS:
        rows = all_values(session, Wanted(start, end + ahead, (key.site,), (kind,)), start, now)
        if not rows.empty:
            drivers[kind] = rows
    history = known_values(session, Wanted(start, end, (key.site,), (key.kind,)), now)
    return ModelDue(key, ahead // step, end, history, drivers)
