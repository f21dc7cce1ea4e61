"""What wind turbines give, from the wind at the heights that a forecast has.

The wind at the hub is drawn between the two nearest heights on a logarithmic profile, or beyond
them, and goes through the power curve of the turbines, both by windpowerlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import windpowerlib
from numpy.typing import NDArray
from windpowerlib.power_output import power_curve
from windpowerlib.tools import logarithmic_interpolation_extrapolation

from connectors.errors import Rejected
from connectors.signals.plants.plant import PowerCurve, WindPark

_LEAST_HEIGHTS = 2
_AS_THIS = "E-126/4200"
# Of the OpenEnergy Platform, as windpowerlib carries it: a row of watts for each type of turbine,
# a column for each wind speed.
_LIBRARY = Path(windpowerlib.__file__).parent / "oedb" / "power_curves.csv"


def wind_power_kw(parks: Sequence[WindPark], speeds: pd.DataFrame) -> pd.Series:
    """Return what ``parks`` give together [kW], the mean of each interval.

    Parameters
    ----------
    speeds
        Means over the intervals [m/s] by interval start (UTC); the columns are heights above
        ground [m]. A height that nothing is known of is left aside; an interval that misses
        another gets none.
    """
    known = speeds.dropna(axis="columns", how="all").dropna()
    if known.empty or len(known.columns) < _LEAST_HEIGHTS:
        return pd.Series(index=known.index[:0], dtype="float64")
    power = sum((_park_kw(park, known) for park in parks), np.zeros(len(known)))
    return pd.Series(power, index=known.index)


def library_curve(turbine: str) -> PowerCurve:
    """Return the power curve of a turbine that windpowerlib's library has, as of one of 1 kW.

    Raises
    ------
    Rejected
        It has no curve of such a turbine.
    """
    library = pd.read_csv(_LIBRARY, index_col="turbine_type")
    if turbine not in library.index:
        raise Rejected(
            f"turbine {turbine!r}: windpowerlib has no power curve of it, as it has of"
            f" {_AS_THIS!r}; give its curve instead"
        )
    watts = library.loc[[turbine]].iloc[0].dropna()
    shares = watts.to_numpy(dtype="float64") / watts.max()
    return tuple(zip(watts.index.astype("float64").tolist(), shares.tolist(), strict=True))


def _park_kw(park: WindPark, speeds: pd.DataFrame) -> NDArray[np.float64]:
    at_hub = logarithmic_interpolation_extrapolation(speeds, park.hub_height_m)
    curve = np.asarray(park.curve)
    share = power_curve(np.clip(at_hub.to_numpy(), 0.0, None), curve[:, 0], curve[:, 1])
    return np.asarray(share * park.rating_kw * (1 - park.loss_share), dtype=np.float64)
