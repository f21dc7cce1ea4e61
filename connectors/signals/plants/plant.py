"""What is built at a place: all that weather needs to become power."""

from __future__ import annotations

from dataclasses import dataclass

PowerCurve = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the ground; north and east are positive."""

    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True)
class PvArray:
    """Modules that look one way, on one inverter.

    Attributes
    ----------
    peak_kw
        What the modules give at 1000 W/m2 and 25 degC (DC).
    tilt_deg
        0 lies flat, 90 stands upright.
    azimuth_deg
        Where they look, clockwise from north: 180 is south.
    inverter_kw
        The most the inverter gives (AC).
    loss_share
        Of the modules' power, lost before the inverter: dirt, shade, mismatch, wires.
    """

    peak_kw: float
    tilt_deg: float
    azimuth_deg: float
    inverter_kw: float
    loss_share: float


@dataclass(frozen=True, slots=True)
class WindPark:
    """Turbines of one kind.

    Attributes
    ----------
    rating_kw
        Of all of them together.
    curve
        Pairs of a wind speed at the hub [m/s] and the share of the rating it gives, by speed;
        outside of them the turbines stand still.
    loss_share
        Of what they give: wakes, times out of service, wires.
    """

    rating_kw: float
    hub_height_m: float
    curve: PowerCurve
    loss_share: float


@dataclass(frozen=True, slots=True)
class Plant:
    """All PV and wind of one site."""

    place: Place
    pv: tuple[PvArray, ...] = ()
    wind: tuple[WindPark, ...] = ()
