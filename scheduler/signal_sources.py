"""From the name of a source of signals to the connection to it.

With ``scheduler.main``, ``clusters``, ``streams`` and ``site_devices`` the only module that names
concrete connectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from connectors.errors import Rejected
from connectors.http import HttpPolicy, HttpSource
from connectors.protocols import SignalSource
from connectors.signals import carbon_intensity_gb, energy_charts, entsoe
from connectors.signals.carbon_intensity_gb import CarbonIntensityGb
from connectors.signals.electricity_maps import ElectricityMaps, Variant
from connectors.signals.energy_charts import EnergyCharts
from connectors.signals.entsoe import Entsoe
from connectors.signals.open_meteo import Minutes, OpenMeteo
from connectors.signals.plants.plant import Place, Plant, PowerCurve, PvArray, WindPark
from connectors.signals.us.prices import UsPrices
from connectors.signals.watttime import WattTime
from connectors.source_info import SourceInfo
from scheduler.services.errors import Invalid, Refusal
from scheduler.settings import Settings
from scheduler.specs import FleetSpec
from scheduler.specs.feeds import FeedSpec
from scheduler.specs.fleet import SiteSpec
from scheduler.specs.plants import WindSpec
from scheduler.timekeeping import Now


@dataclass(frozen=True, slots=True)
class _Given:
    """What a source may be made of."""

    settings: Settings
    now: Now
    sites: tuple[SiteSpec, ...] = ()


def _energy_charts(given: _Given) -> SignalSource:
    url = given.settings.energy_charts_url
    return EnergyCharts(HttpSource("energy-charts", url, energy_charts.POLICY))


def _carbon_intensity_gb(given: _Given) -> SignalSource:
    url = given.settings.carbon_intensity_gb_url
    return CarbonIntensityGb(HttpSource("carbon-intensity-gb", url, carbon_intensity_gb.POLICY))


def _entsoe(given: _Given) -> SignalSource:
    token = given.settings.entsoe_token
    http = HttpSource("entsoe", given.settings.entsoe_url, entsoe.POLICY)
    return Entsoe(http, None if token is None else token.get_secret_value())


def _electricity_maps(variant: Variant, given: _Given) -> SignalSource:
    http = HttpSource(variant.value, given.settings.electricity_maps_url)
    token = given.settings.electricity_maps_token.get_secret_value()
    return ElectricityMaps(http, token, given.now, variant)


def _watttime(given: _Given) -> SignalSource:
    settings = given.settings
    # Ten a second are allowed of most questions, but few logins.
    http = HttpSource("watttime", settings.watttime_url, HttpPolicy(requests_per_minute=120))
    password = settings.watttime_password.get_secret_value()
    return WattTime(http, settings.watttime_user, password, given.now)


def _open_meteo(minutes: Minutes, given: _Given) -> SignalSource:
    forecast = HttpSource("open-meteo", given.settings.open_meteo_url)
    archive = HttpSource("open-meteo", given.settings.open_meteo_archive_url)
    plants = {site.name: _plant(site) for site in given.sites if site.pv or site.wind}
    return OpenMeteo(forecast, archive, given.now, plants, minutes)


def _gridstatus(given: _Given) -> SignalSource:
    settings = given.settings
    return UsPrices(settings.gridstatus_python, settings.pjm_key.get_secret_value())


_MAKERS: dict[str, Callable[[_Given], SignalSource]] = {
    "energy-charts": _energy_charts,
    "carbon-intensity-gb": _carbon_intensity_gb,
    "open-meteo": partial(_open_meteo, 60),
    "open-meteo-15min": partial(_open_meteo, 15),
    "entsoe": _entsoe,
    "electricity-maps": partial(_electricity_maps, Variant.LIFECYCLE),
    "electricity-maps-direct": partial(_electricity_maps, Variant.DIRECT),
    "electricity-maps-measured": partial(_electricity_maps, Variant.MEASURED),
    "watttime": _watttime,
    "gridstatus": _gridstatus,
}

SourceOf = Callable[[FleetSpec, str], SignalSource]
"""Gives the source of a name to a fleet; the same one for the same fleet."""


def connect_source(
    settings: Settings, name: str, now: Now, fleet: FleetSpec | None = None
) -> SignalSource:
    """Make the connection to the source called ``name``; nobody is asked anything yet.

    Raises
    ------
    Invalid
        There is none of that name.
    Rejected
        What the fleet describes cannot be reckoned with here.
    """
    if name not in _MAKERS:
        raise Invalid(Refusal("signals", "source", name, f"one of {', '.join(_MAKERS)}"))
    return _MAKERS[name](_Given(settings, now, () if fleet is None else fleet.sites))


def source_infos(settings: Settings, now: Now) -> tuple[SourceInfo, ...]:
    """Return what every source says of itself; those that need nothing come first."""
    infos = [maker(_Given(settings, now)).info for maker in _MAKERS.values()]
    return tuple(sorted(infos, key=lambda info: bool(info.needs)))


def sources_of(settings: Settings, now: Now) -> SourceOf:
    """Return a function that connects to sources, and again only when the fleet has changed."""
    known: dict[str, SignalSource] = {}
    of_fleet: list[FleetSpec] = []

    def connected(fleet: FleetSpec, name: str) -> SignalSource:
        if of_fleet != [fleet]:
            of_fleet[:] = [fleet]
            known.clear()
        if name not in known:
            known[name] = connect_source(settings, name, now, fleet)
        return known[name]

    return connected


def refuse_feeds(settings: Settings, fleet: FleetSpec, now: Now) -> Iterator[Refusal]:
    """Yield what is wrong with the feeds of a fleet: sources, zones and kinds there are not."""
    source_of = sources_of(settings, now)
    for site in fleet.sites:
        for feed in site.feeds:
            refusal = _refuse_feed(source_of, fleet, site, feed)
            if refusal is not None:
                yield refusal


def _refuse_feed(
    source_of: SourceOf, fleet: FleetSpec, site: SiteSpec, feed: FeedSpec
) -> Refusal | None:
    owner = f"site {site.name}, feed of {feed.kind.value}"
    if feed.source not in _MAKERS:
        return Refusal(owner, "source", feed.source, f"one of {', '.join(_MAKERS)}")
    try:
        source = source_of(fleet, feed.source)
        source.time_zone(feed.zone)
    except Rejected as error:
        return Refusal(owner, "zone", feed.zone, f"a zone of {feed.source} ({error})")
    kinds = source.info.kinds_in(feed.zone)
    if feed.kind not in kinds:
        known = ", ".join(kinds)
        return Refusal(owner, "kind", feed.kind.value, f"of {feed.source} there: {known}")
    return None


def _plant(site: SiteSpec) -> Plant:
    pv = tuple(
        PvArray(one.peak_kw, one.tilt_deg, one.azimuth_deg, one.inverter_kw, one.loss_share)
        for one in site.pv
    )
    wind = tuple(
        WindPark(one.rating_kw, one.hub_height_m, _curve(one), one.loss_share) for one in site.wind
    )
    return Plant(Place(site.latitude_deg or 0.0, site.longitude_deg or 0.0), pv, wind)


def _curve(spec: WindSpec) -> PowerCurve:
    if spec.turbine is None:
        return spec.curve
    try:  # its library is an extra
        from connectors.signals.plants.wind import library_curve  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Rejected(
            f"turbine {spec.turbine!r}: its curve is in what the extra gridtide[weather] installs"
            f" ({error})"
        ) from error
    return library_curve(spec.turbine)
