r"""What PV arrays give, from the means of radiation over intervals.

Radiation is known as its mean over an interval, the sun moves within it. Each interval is therefore
cut into steps of five minutes. With :math:`c_t = \max(\cos z_t, 0)` of the sun's zenith and
:math:`\bar c` its mean over the interval, the means of global and diffuse radiation are spread as
the sun stands high, and the beam is what is between them:

.. math::
    G_t = \bar G c_t / \bar c, \quad D_t = \bar D c_t / \bar c, \quad
    B_t = (\bar G - \bar D) / \bar c \tag{V1}

so that every interval keeps its energy, whatever its length. Each step goes through Hay and
Davies' sky, Fresnel losses at the glass, Faiman's cell temperature and PVWatts' modules and
inverter; the power of an interval is the mean of its steps (V2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pvlib
from numpy.typing import NDArray

from connectors.signals.plants.plant import Place, PvArray

STEP_MINUTES = 5
_ALBEDO = 0.2
_PER_DEGC = -0.0035  # of power, crystalline silicon
_INVERTER_EFFICIENCY = 0.96  # nominal
_SUN_IS_UP = 0.01  # least mean cosine of the zenith that counts as day

_Values = NDArray[np.float64]


def pv_power_kw(
    place: Place, arrays: Sequence[PvArray], weather: pd.DataFrame, minutes: int
) -> pd.Series:
    """Return what ``arrays`` give together [kW, AC], the mean of each interval.

    Parameters
    ----------
    weather
        By interval start (UTC): means of ``global_w_per_m2`` and ``diffuse_w_per_m2`` on the
        level, ``air_degc`` and ``wind_m_per_s``. An interval that misses any of them gets none.
    minutes
        Length of the intervals; a multiple of five.
    """
    known = weather.dropna()
    if known.empty:
        return pd.Series(index=known.index, dtype="float64")
    steps = _Steps(place, known, minutes)
    power = sum((steps.power_kw(array) for array in arrays), np.zeros(steps.shape))
    return pd.Series(power.mean(axis=1), index=known.index)  # (V2)


class _Steps:
    """The weather of every interval in steps, each array [interval, step]."""

    def __init__(self, place: Place, weather: pd.DataFrame, minutes: int) -> None:
        per_interval = max(1, minutes // STEP_MINUTES)
        self.shape = (len(weather), per_interval)
        step = pd.Timedelta(minutes=minutes) / per_interval
        middles = [weather.index + (number + 0.5) * step for number in range(per_interval)]
        times = pd.DatetimeIndex(
            np.stack([one.tz_localize(None) for one in middles], axis=1).ravel()
        )
        self._times = times.tz_localize("UTC")
        self._sun = pvlib.solarposition.get_solarposition(
            self._times, place.latitude_deg, place.longitude_deg
        )
        self._extra = self._in_steps(pvlib.irradiance.get_extra_radiation(self._times.day_of_year))
        self._spread(weather)
        self._air_degc = self._repeated(weather, "air_degc")
        self._wind_m_per_s = self._repeated(weather, "wind_m_per_s")

    def _spread(self, weather: pd.DataFrame) -> None:
        """Spread the radiation of each interval over its steps (V1)."""
        zenith = self._in_steps(self._sun["apparent_zenith"])
        height = np.clip(np.cos(np.radians(zenith)), 0.0, None)
        mean_height = height.mean(axis=1, keepdims=True)
        is_day = mean_height > _SUN_IS_UP
        shape = np.divide(height, mean_height, out=np.zeros(self.shape), where=is_day)
        on_level = self._repeated(weather, "global_w_per_m2")
        diffuse = np.minimum(self._repeated(weather, "diffuse_w_per_m2"), on_level)
        beam = np.divide(
            on_level - diffuse, mean_height, out=np.zeros(self.shape), where=is_day & (height > 0)
        )
        self._global = on_level * shape
        self._diffuse = diffuse * shape
        self._beam = np.minimum(beam, self._extra)  # no more than there is outside of the air

    def power_kw(self, array: PvArray) -> _Values:
        """Return what one array gives in every step [kW, AC]."""
        sun = (self._sun["apparent_zenith"].to_numpy(), self._sun["azimuth"].to_numpy())
        side = (array.tilt_deg, array.azimuth_deg)
        plane = pvlib.irradiance.get_total_irradiance(
            *side,
            *sun,
            self._beam.ravel(),
            self._global.ravel(),
            self._diffuse.ravel(),
            dni_extra=self._extra.ravel(),
            albedo=_ALBEDO,
            model="haydavies",
        )
        passed = pvlib.iam.physical(pvlib.irradiance.aoi(*side, *sun))
        at_cells = np.nan_to_num(plane["poa_direct"] * passed + plane["poa_diffuse"])
        cell_degc = pvlib.temperature.faiman(
            np.nan_to_num(plane["poa_global"]), self._air_degc.ravel(), self._wind_m_per_s.ravel()
        )
        dc_kw = pvlib.pvsystem.pvwatts_dc(at_cells, cell_degc, array.peak_kw, _PER_DEGC)
        ac_kw = pvlib.inverter.pvwatts(
            np.clip(dc_kw, 0.0, None) * (1 - array.loss_share),
            array.inverter_kw / _INVERTER_EFFICIENCY,
            _INVERTER_EFFICIENCY,
        )
        return self._in_steps(ac_kw)

    def _in_steps(self, values: pd.Series | _Values) -> _Values:
        return np.asarray(values, dtype=np.float64).reshape(self.shape)

    def _repeated(self, weather: pd.DataFrame, column: str) -> _Values:
        values = weather[column].to_numpy(dtype=np.float64)
        return np.broadcast_to(values[:, np.newaxis], self.shape)
