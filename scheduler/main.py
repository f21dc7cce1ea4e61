"""The composition root: settings and fleet become database, clusters and batteries.

With ``scheduler.clusters``, ``streams``, ``openadr`` and ``signal_sources`` the only module that
names concrete connectors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from fastapi import FastAPI

from connectors.protocols import VirtualPowerPlant
from connectors.signals.files import read_signals
from connectors.signals.parquet import read_parquet_table
from connectors.vpp.simulated import SimulatedVirtualPowerPlant
from scheduler.api.app import create_app
from scheduler.api.context import ApiContext
from scheduler.clusters import connect_accounts, connect_cluster, refuse_power
from scheduler.db.session import SessionFactory, make_engine, make_session_factory
from scheduler.files import read_grid_script
from scheduler.files.fleet import read_spec
from scheduler.grid_side import Notifier
from scheduler.openadr import openadr_notifier, openadr_ven
from scheduler.services.errors import Invalid, Refusal
from scheduler.services.outside import Outside, OutsideOf
from scheduler.services.signal_compaction import Detail
from scheduler.services.site_devices import Devices
from scheduler.settings import Settings
from scheduler.signal_sources import refuse_feeds
from scheduler.site_devices import connect_battery, connect_devices, refuse_devices
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import SiteSpec
from scheduler.specs.openadr import OpenAdrSpec
from scheduler.streams import intake_of
from scheduler.timekeeping import Now

__all__ = [
    "connect",
    "detail_of",
    "devices_of",
    "durable_sessions",
    "make_app",
    "notifier_of",
    "open_sessions",
    "outside_of",
    "read_parquet_table",
    "read_signal_file",
    "virtual_power_plant_of",
]


read_signal_file = read_signals


def open_sessions(settings: Settings) -> SessionFactory:
    """Open the database of ``settings``; its folder is made where it is missing."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    return make_session_factory(make_engine(settings.resolved_database_url))


def durable_sessions(settings: Settings) -> SessionFactory:
    """Open it once more, for what is acknowledged to others once it is stored."""
    return make_session_factory(make_engine(settings.resolved_database_url, is_durable=True))


def detail_of(settings: Settings) -> Detail:
    """Return how much of superseded signals is kept."""
    return Detail(settings.signal_detail_days, settings.signal_grid_hours)


def connect(settings: Settings, fleet: FleetSpec, now: Now) -> Outside:
    """Make the connections to every cluster and battery of ``fleet``.

    Raises
    ------
    Invalid
        A cluster cannot be spoken to from here.
    """
    clusters = {site.name: connect_cluster(settings, site) for site in fleet.sites}
    # Where a control loop looks after batteries it is the only one to tell them anything.
    batteries = {
        (site.name, unit.name): connect_battery(settings, site, unit, now)
        for site in fleet.sites
        if site.control is None
        for unit in site.batteries
    }
    refusals = (
        *filter(None, map(refuse_power, fleet.sites)),
        *(refusal for site in fleet.sites for refusal in refuse_devices(site)),
        *refuse_feeds(settings, fleet, now),
    )
    accounts = {site.name: connect_accounts(site) for site in fleet.sites}
    kept = {site: account for site, account in accounts.items() if account is not None}
    return Outside(clusters, batteries, refusals, kept)


def outside_of(settings: Settings, now: Now) -> OutsideOf:
    """Return a function that connects to a fleet, and again only when the fleet has changed.

    Any thread may call it; all get the same connections.
    """
    known: list[tuple[FleetSpec, Outside]] = []
    lock = threading.Lock()

    def connected(fleet: FleetSpec) -> Outside:
        with lock:
            if not known or known[0][0] != fleet:
                known[:] = [(fleet, connect(settings, fleet, now))]
            return known[0][1]

    return connected


def devices_of(settings: Settings, now: Now) -> Callable[[SiteSpec], Devices]:
    """Return a function that connects to the meter and batteries of a site."""
    return lambda site: connect_devices(settings, site, now)


def virtual_power_plant_of(settings: Settings, now: Now) -> VirtualPowerPlant | None:
    """Return the virtual power plant there is to answer to, ``None`` where there is none.

    Raises
    ------
    Invalid
        There are two.
    BadFile
        It is not described as it must be.
    """
    if settings.openadr is not None:
        if settings.simulated_vpp is not None:
            limit = "left out where GRIDTIDE_OPENADR is set: a fleet answers to one"
            raise Invalid(Refusal("settings", "simulated_vpp", str(settings.simulated_vpp), limit))
        secret, token = settings.openadr_client_secret, settings.openadr_webhook_token
        return openadr_ven(read_spec(settings.openadr, OpenAdrSpec), secret, token, now)
    if settings.simulated_vpp is None:
        return None
    return SimulatedVirtualPowerPlant(read_grid_script(settings.simulated_vpp), now)


def notifier_of(settings: Settings) -> Notifier | None:
    """Return what listens for news of the virtual power plant; ``None``: it is polled only."""
    if settings.openadr is None:
        return None
    return openadr_notifier(
        read_spec(settings.openadr, OpenAdrSpec), settings.openadr_client_secret
    )


def make_app(settings: Settings, sessions: SessionFactory, now: Now) -> FastAPI:
    """Make the web application."""
    return create_app(
        ApiContext(
            sessions,
            now,
            read_signals,
            outside_of(settings, now),
            intake_of(settings, durable_sessions(settings), now),
            has_secure_cookie=settings.secure_cookie,
            webhook_token=settings.openadr_webhook_token,
        )
    )
