"""PV and wind from the weather, against pvlib itself minute by minute and against power curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from connectors.errors import Rejected
from connectors.signals.plants.plant import Place, PvArray, WindPark
from connectors.signals.plants.pv import pv_power_kw
from connectors.signals.plants.wind import library_curve, wind_power_kw
from tests.connectors.clear_sky import ClearDay, clear_day

MUNICH = Place(48.1, 11.6)
SOUTH = PvArray(peak_kw=100.0, tilt_deg=30.0, azimuth_deg=180.0, inverter_kw=90.0, loss_share=0.1)
CURVE = ((3.0, 0.0), (5.0, 0.1), (12.0, 1.0), (25.0, 1.0))
PARK = WindPark(rating_kw=3000.0, hub_height_m=100.0, curve=CURVE, loss_share=0.0)


@pytest.fixture(scope="module")
def june() -> ClearDay:
    """The longest days."""
    return clear_day(MUNICH, "2026-06-20")


@pytest.fixture(scope="module")
def sydney() -> ClearDay:
    """The other half of the Earth, in its summer, whose day begins the UTC day before."""
    return clear_day(Place(-33.9, 151.2), "2026-12-20")


def energy_kwh(power: pd.Series, minutes: float) -> float:
    """Sum a day."""
    return float(power.sum()) * minutes / 60


@pytest.mark.parametrize("minutes", [15, 30, 60])
@pytest.mark.parametrize(
    "array",
    [
        SOUTH,
        replace(SOUTH, azimuth_deg=90.0, tilt_deg=10.0),
        replace(SOUTH, azimuth_deg=270.0, tilt_deg=15.0),
        replace(SOUTH, tilt_deg=0.0),
        replace(SOUTH, inverter_kw=55.0),
    ],
    ids=["south", "east", "west", "flat", "clipped"],
)
def test_a_clear_day_is_as_pvlib_has_it(june: ClearDay, array: PvArray, minutes: int) -> None:
    """Out of means over intervals comes what pvlib makes of every minute, within 0.3 %."""
    power = pv_power_kw(MUNICH, [array], june.means(minutes), minutes)
    truth = june.power_kw(array).resample(f"{minutes}min").mean()
    assert list(power.index) == list(truth.index)
    assert energy_kwh(power, minutes) == pytest.approx(energy_kwh(truth, minutes), rel=0.003)
    assert (power - truth).abs().max() < 0.01 * array.peak_kw


def test_a_day_that_begins_the_evening_before_is_as_pvlib_has_it(sydney: ClearDay) -> None:
    """North is where the sun stands there."""
    array = replace(SOUTH, azimuth_deg=0.0)
    power = pv_power_kw(sydney.place, [array], sydney.means(60), 60)
    truth = sydney.power_kw(array).resample("60min").mean()
    assert energy_kwh(power, 60) == pytest.approx(energy_kwh(truth, 60), rel=0.003)


def test_quarters_and_hours_hold_the_same_energy(june: ClearDay) -> None:
    """The hour's radiation is the mean of its quarters, and so is its power."""
    quarters = pv_power_kw(MUNICH, [SOUTH], june.means(15), 15)
    hours = pv_power_kw(MUNICH, [SOUTH], june.means(60), 60)
    assert energy_kwh(hours, 60) == pytest.approx(energy_kwh(quarters, 15), rel=0.002)
    noon = slice("2026-06-20T08:00Z", "2026-06-20T14:00Z")
    of_quarters = quarters.resample("60min").mean()
    assert (hours - of_quarters)[noon].abs().max() < 0.002 * SOUTH.peak_kw


def test_labels_are_starts_of_intervals(june: ClearDay) -> None:
    """Radiation that is labelled an hour late moves the day by an hour: that would be seen here."""
    power = pv_power_kw(MUNICH, [replace(SOUTH, tilt_deg=0.0)], june.means(60), 60)
    hours = np.arange(24) + 0.5
    centre = float((power.to_numpy() * hours).sum() / power.sum())
    transit = 12 - MUNICH.longitude_deg / 15 + 1.5 / 60  # UTC; the equation of time is 1.5 min
    assert centre == pytest.approx(transit, abs=0.1)


def test_the_inverter_gives_no_more_than_it_can(june: ClearDay) -> None:
    """However much the modules have."""
    power = pv_power_kw(MUNICH, [replace(SOUTH, inverter_kw=40.0)], june.means(15), 15)
    assert power.max() == pytest.approx(40.0)


def test_losses_are_a_share_of_what_comes_before_the_inverter(june: ClearDay) -> None:
    """A tenth more of them is nearly a tenth less power."""
    wide = replace(SOUTH, inverter_kw=1000.0, loss_share=0.0)
    without = pv_power_kw(MUNICH, [wide], june.means(60), 60).max()
    with_losses = pv_power_kw(MUNICH, [replace(wide, loss_share=0.5)], june.means(60), 60).max()
    assert with_losses == pytest.approx(without / 2, rel=0.07)


def test_arrays_add_up(june: ClearDay) -> None:
    """Each behind an inverter of its own."""
    east, west = replace(SOUTH, azimuth_deg=90.0), replace(SOUTH, azimuth_deg=270.0)
    both = pv_power_kw(MUNICH, [east, west], june.means(60), 60)
    alone = [pv_power_kw(MUNICH, [one], june.means(60), 60) for one in (east, west)]
    pd.testing.assert_series_equal(both, alone[0] + alone[1])
    assert pv_power_kw(MUNICH, [], june.means(60), 60).max() == 0.0


def test_the_night_gives_nothing_and_the_dusk_nothing_wild(june: ClearDay) -> None:
    """Where the sun is on the horizon, radiation is divided by nearly nothing."""
    weather = june.means(60)
    weather["global_w_per_m2"] += 5.0  # what an instrument, or a coarse model, says at night
    power = pv_power_kw(MUNICH, [replace(SOUTH, tilt_deg=90.0, azimuth_deg=0.0)], weather, 60)
    assert power["2026-06-20T21:00Z":].max() == 0.0  # type: ignore[misc]
    assert power.max() < 0.5 * SOUTH.peak_kw


def test_an_interval_that_misses_anything_has_no_power(june: ClearDay) -> None:
    """It is absent, not zero."""
    weather = june.means(60)
    weather.loc[weather.index[10], "air_degc"] = np.nan
    power = pv_power_kw(MUNICH, [SOUTH], weather, 60)
    assert len(power) == 23
    assert weather.index[10] not in power.index
    assert pv_power_kw(MUNICH, [SOUTH], weather.iloc[10:11], 60).empty


def speeds(**heights: float) -> pd.DataFrame:
    """One hour with these speeds [m/s] at heights, as ``at_10=...``."""
    index = pd.DatetimeIndex(["2026-06-20T00:00Z"])
    return pd.DataFrame({int(name[3:]): [value] for name, value in heights.items()}, index=index)


@pytest.mark.parametrize(
    ("at_hub", "share"),
    [(2.9, 0.0), (3.0, 0.0), (4.0, 0.05), (5.0, 0.1), (8.5, 0.55), (12.0, 1.0), (24.9, 1.0)],
)
def test_power_goes_along_the_curve(at_hub: float, share: float) -> None:
    """Straight between its points."""
    power = wind_power_kw([PARK], speeds(at_80=at_hub, at_120=at_hub))
    assert power.iloc[0] == pytest.approx(3000.0 * share)


def test_turbines_stand_still_outside_of_the_curve() -> None:
    """Below the first speed, and beyond the last."""
    assert wind_power_kw([PARK], speeds(at_80=2.0, at_120=2.0)).iloc[0] == 0.0
    assert wind_power_kw([PARK], speeds(at_80=25.1, at_120=25.1)).iloc[0] == 0.0


def test_the_wind_at_the_hub_is_drawn_on_a_logarithmic_profile() -> None:
    """Between the two nearest heights, and beyond the highest."""
    profile = {f"at_{high}": 1.2 * np.log(high / 0.1) for high in (10, 80, 120)}
    for hub in (60.0, 100.0, 160.0):
        linear = WindPark(1.0, hub, ((0.0, 0.0), (40.0, 1.0)), 0.0)
        power = wind_power_kw([linear], speeds(**profile))
        assert power.iloc[0] * 40 == pytest.approx(1.2 * np.log(hub / 0.1))


def test_losses_and_parks_add_up() -> None:
    """A tenth is lost of one, nothing of the other."""
    here = speeds(at_80=12.0, at_120=12.0)
    lossy = replace(PARK, loss_share=0.1, rating_kw=1000.0)
    assert wind_power_kw([PARK, lossy], here).iloc[0] == pytest.approx(3000.0 + 900.0)


def test_a_height_nobody_knows_is_left_aside_and_an_hour_without_wind_is_absent() -> None:
    """Of the archive there are other heights than of the forecast."""
    rows = pd.concat([speeds(at_10=6.0, at_80=9.0, at_100=np.nan)] * 2, ignore_index=True)
    rows.index = pd.date_range("2026-06-20", periods=2, freq="h", tz="UTC")
    rows.loc[rows.index[1], 10] = np.nan
    power = wind_power_kw([PARK], rows)
    assert list(power.index) == [rows.index[0]]
    assert wind_power_kw([PARK], speeds(at_10=6.0)).empty


def test_a_turbine_of_the_library_has_its_curve() -> None:
    """As shares of the most it gives."""
    curve = library_curve("E-126/4200")
    by_speed = dict(curve)
    assert max(share for _, share in curve) == 1.0
    assert by_speed[2.0] == 0.0
    assert by_speed[20.0] == 1.0
    assert list(by_speed) == sorted(by_speed)


def test_a_turbine_nobody_knows_is_refused_by_name() -> None:
    """With one that is known."""
    with pytest.raises(Rejected, match=r"'Windmill 1900'.*'E-126/4200'"):
        library_curve("Windmill 1900")
