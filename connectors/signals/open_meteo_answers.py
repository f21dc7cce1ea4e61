"""What Open-Meteo answers, by label and then by interval; see ``open_meteo`` for the format."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from connectors.errors import ContractBroken
from connectors.signals import fields
from connectors.signals.frames import Question
from connectors.signals.limits import PLAUSIBLE
from connectors.types import SignalKind

GLOBAL, DIFFUSE = "shortwave_radiation", "diffuse_radiation"
AIR, WIND_10M = "temperature_2m", "wind_speed_10m"
FORECAST_WINDS = {10: WIND_10M, 80: "wind_speed_80m", 120: "wind_speed_120m"}
ARCHIVE_WINDS = {10: WIND_10M, 100: "wind_speed_100m"}
_MEANS_BEFORE = frozenset((GLOBAL, DIFFUSE))
VARIABLES = {GLOBAL: "W/m²", DIFFUSE: "W/m²", AIR: "°C"} | dict.fromkeys(
    {*FORECAST_WINDS.values(), *ARCHIVE_WINDS.values()}, "m/s"
)
_KINDS = {
    GLOBAL: SignalKind.IRRADIANCE,
    DIFFUSE: SignalKind.IRRADIANCE,
    AIR: SignalKind.AIR_TEMPERATURE,
}


def labelled_values(
    asked: Question, document: Any, block: str, variables: list[str], minutes: int
) -> pd.DataFrame:
    """Read an answer as it is labelled: by instants (UTC), NaN where nothing is known."""
    owner = str(asked)
    whole = fields.an_object(owner, document)
    fields.require(owner, whole, "utc_offset_seconds", 0)
    units = fields.an_object(f"{owner}: {block}_units", whole.get(f"{block}_units"))
    values = fields.an_object(f"{owner}: {block}", whole.get(block))
    for variable in variables:
        fields.require(
            f"{owner}: {variable}", {"unit": units.get(variable)}, "unit", VARIABLES[variable]
        )
    times = _times(owner, values.get("time"), minutes)
    columns = {one: _numbers(owner, one, values.get(one), len(times)) for one in variables}
    labelled = pd.DataFrame(columns, index=times, dtype="float64")
    _refuse_impossible(owner, labelled)
    return labelled


def by_start(labelled: pd.DataFrame) -> pd.DataFrame:
    """Return means over intervals by their start, from values as they are labelled."""
    after = labelled.shift(-1)  # what stands at the end of the interval that starts here
    means = {
        name: after[name] if name in _MEANS_BEFORE else (labelled[name] + after[name]) / 2
        for name in labelled.columns
    }
    return pd.DataFrame(means)


def _times(owner: str, raw: Any, minutes: int) -> pd.DatetimeIndex:
    if not isinstance(raw, list) or not all(isinstance(one, str) for one in raw):
        raise ContractBroken(f"{owner}: time = {str(raw)[:120]!r}, must be a list of instants")
    try:
        times = pd.DatetimeIndex(pd.to_datetime(raw, format="%Y-%m-%dT%H:%M", utc=True))
    except (ValueError, TypeError) as error:
        raise ContractBroken(f"{owner}: time: {error}") from error
    step = pd.Timedelta(minutes=minutes)
    off = np.flatnonzero(np.diff(times) != step)
    if off.size:
        at = times[int(off[0])].isoformat()
        raise ContractBroken(f"{owner}: time after {at}, must go on in steps of {minutes} minutes")
    return times


def _refuse_impossible(owner: str, labelled: pd.DataFrame) -> None:
    """Refuse what no weather is: power would be made of it, which looks like any other."""
    for name, values in labelled.items():
        kind = _KINDS.get(str(name), SignalKind.WIND_SPEED)
        least, most = PLAUSIBLE[kind]
        bad = values[(values < least) | (values > most)]
        if not bad.empty:
            at = pd.Timestamp(bad.index[0]).isoformat()
            raise ContractBroken(
                f"{owner}, {at}: {name} = {bad.iloc[0]:g},"
                f" must be within [{least:g}, {most:g}] {kind.unit}"
            )


def _numbers(owner: str, name: str, raw: Any, length: int) -> list[float]:
    if not isinstance(raw, list) or len(raw) != length:
        raise ContractBroken(f"{owner}: {name}: must be a list of {length} values, one a time")
    read = (fields.as_number(owner, name, one) for one in raw)
    return [np.nan if one is None else one for one in read]
