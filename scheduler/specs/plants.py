"""PV and wind of a site, as far as their power can be told from the weather."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from scheduler.specs.base import MOST, Spec, Text

Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Rating = Annotated[float, Field(gt=0, le=MOST)]
LossShare = Annotated[float, Field(ge=0, lt=1)]
WindSpeed = Annotated[float, Field(ge=0, le=100)]  # m/s
Share = Annotated[float, Field(ge=0, le=1)]


class PvSpec(Spec):
    """Modules that look one way, on one inverter.

    ``peak_kw`` is theirs (DC) at 1000 W/m2 and 25 degC, ``inverter_kw`` the most the inverter gives
    (AC). ``azimuth_deg`` is clockwise from north: 180 looks south. ``loss_share`` is lost before
    the inverter: dirt, shade, mismatch, wires.
    """

    peak_kw: Rating
    tilt_deg: Annotated[float, Field(ge=0, le=90)]
    azimuth_deg: Annotated[float, Field(ge=0, le=360)] = 180.0
    inverter_kw: Rating
    loss_share: LossShare = 0.14


class WindSpec(Spec):
    """Turbines of one kind; ``rating_kw`` is of all of them together.

    ``turbine`` names one whose power curve windpowerlib has; else ``curve`` lists pairs of a wind
    speed at the hub [m/s] and the share of the rating that it gives. ``loss_share`` is lost
    behind them: wakes, times out of service, wires.
    """

    rating_kw: Rating
    hub_height_m: Annotated[float, Field(ge=5, le=300)]
    turbine: Annotated[Text, Field(min_length=1, max_length=120)] | None = None
    curve: Annotated[tuple[tuple[WindSpeed, Share], ...], Field(max_length=500)] = ()
    loss_share: LossShare = 0.1

    @model_validator(mode="after")
    def _one_curve(self) -> Self:
        if (self.turbine is None) == (not self.curve):
            raise ValueError(
                f"wind of {self.rating_kw:g} kW: must have either turbine or curve, has"
                f" {'neither' if self.turbine is None else 'both'}"
            )
        if self.curve and len(self.curve) < 2:
            raise ValueError(f"wind of {self.rating_kw:g} kW: curve must have 2 pairs or more")
        for (slower, _), (faster, _) in pairwise(self.curve):
            if faster <= slower:
                raise ValueError(
                    f"wind of {self.rating_kw:g} kW: curve has {faster:g} m/s after {slower:g} m/s,"
                    " must go up"
                )
        return self


def with_what_is_described(site: Any) -> Any:
    """Say of a site, as it was written, that it has the plants it describes.

    Raises
    ------
    ValueError
        It says that it has none.
    """
    if not isinstance(site, Mapping):
        return site
    described = {name: True for name in ("pv", "wind") if site.get(name)}
    for name in described:
        if site.get(f"has_{name}") is False:
            raise ValueError(
                f"site {site.get('name')}: has_{name} = false, but {name} is described"
            )
    return {**site, **{f"has_{name}": True for name in described}}


def require_a_place(
    owner: str, latitude_deg: float | None, longitude_deg: float | None, *, has_plants: bool
) -> None:
    """Refuse half a place, and plants without one."""
    if (latitude_deg is None) != (longitude_deg is None):
        missing = "latitude_deg" if latitude_deg is None else "longitude_deg"
        raise ValueError(f"{owner}: {missing} is missing, a place needs both")
    if has_plants and latitude_deg is None:
        raise ValueError(
            f"{owner}: pv or wind is described, but not where: latitude_deg and longitude_deg"
        )
