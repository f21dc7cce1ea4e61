"""The composition root: settings and fleet become database, clusters and batteries.

The only module that names concrete connectors.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.commands import SlurmCommands
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.clusters.slurm.rest import SlurmRest, read_token
from connectors.clusters.slurm.transport import SlurmTransport
from connectors.protocols import Battery, Cluster, VirtualPowerPlant
from connectors.signals.files import read_signals
from connectors.storage.simulated import BatteryRating, SimulatedBattery
from connectors.vpp.simulated import SimulatedVirtualPowerPlant
from scheduler.api.app import create_app
from scheduler.api.context import ApiContext
from scheduler.db.session import SessionFactory, make_engine, make_session_factory
from scheduler.files import read_grid_script
from scheduler.services.errors import Invalid, Refusal
from scheduler.services.outside import Outside, OutsideOf
from scheduler.settings import Settings
from scheduler.specs import FleetSpec
from scheduler.specs.clusters import LocalClusterSpec, SlurmClusterSpec, SlurmPoolSpec
from scheduler.specs.fleet import BatterySpec, SiteSpec
from scheduler.timekeeping import Now

__all__ = [
    "connect",
    "make_app",
    "open_sessions",
    "outside_of",
    "read_signal_file",
    "virtual_power_plant_of",
]


read_signal_file = read_signals


def open_sessions(settings: Settings) -> SessionFactory:
    """Open the database of ``settings``; its folder is made where it is missing."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    return make_session_factory(make_engine(settings.resolved_database_url))


def connect(settings: Settings, fleet: FleetSpec, now: Now) -> Outside:
    """Make the connections to every cluster and battery of ``fleet``.

    Raises
    ------
    Invalid
        A cluster cannot be spoken to from here.
    """
    clusters = {site.name: _cluster(settings, site) for site in fleet.sites}
    batteries = {
        (site.name, unit.name): _battery(settings, site, unit, now)
        for site in fleet.sites
        for unit in site.batteries
    }
    return Outside(clusters, batteries)


def outside_of(settings: Settings, now: Now) -> OutsideOf:
    """Return a function that connects to a fleet, and again only when the fleet has changed."""
    known: list[tuple[FleetSpec, Outside]] = []

    def connected(fleet: FleetSpec) -> Outside:
        if not known or known[0][0] != fleet:
            known[:] = [(fleet, connect(settings, fleet, now))]
        return known[0][1]

    return connected


def virtual_power_plant_of(settings: Settings, now: Now) -> VirtualPowerPlant | None:
    """Return the virtual power plant there is to answer to, ``None`` where there is none."""
    if settings.simulated_vpp is None:
        return None
    return SimulatedVirtualPowerPlant(read_grid_script(settings.simulated_vpp), now)


def make_app(settings: Settings, sessions: SessionFactory, now: Now) -> FastAPI:
    """Make the web application."""
    return create_app(
        ApiContext(
            sessions,
            now,
            read_signals,
            outside_of(settings, now),
            has_secure_cookie=settings.secure_cookie,
        )
    )


def _cluster(settings: Settings, site: SiteSpec) -> Cluster:
    match site.cluster:
        case LocalClusterSpec():
            return _local(settings, site)
        case SlurmClusterSpec() as spec:
            return _slurm(site, spec)


def _local(settings: Settings, site: SiteSpec) -> LocalCluster:
    pools = [
        LocalPool(
            pool.name,
            pool.gpus,
            kw_per_gpu=max(pool.kw_per_gpu, pool.idle_kw_per_gpu),
            idle_kw_per_gpu=pool.idle_kw_per_gpu,
        )
        for pool in site.pools
    ]
    return LocalCluster(site.name, settings.state_dir / "clusters" / site.name, pools)


def _slurm(site: SiteSpec, spec: SlurmClusterSpec) -> SlurmCluster:
    named = spec.pools | {
        pool.name: SlurmPoolSpec(partition=pool.name)
        for pool in site.pools
        if pool.name not in spec.pools
    }
    pools = tuple(
        SlurmPool(
            name=pool.name,
            partition=(on := named[pool.name]).partition,
            gres_type=on.gres_type,
            features=on.features,
            account=on.account,
            qos=on.qos,
            reservation=on.reservation,
            cpus_per_gpu=on.cpus_per_gpu,
            memory_mb_per_gpu=on.memory_gb_per_gpu and on.memory_gb_per_gpu * 1024,
            kw_per_gpu=max(pool.kw_per_gpu, pool.idle_kw_per_gpu),
            idle_kw_per_gpu=pool.idle_kw_per_gpu,
        )
        for pool in site.pools
    )
    config = SlurmConfig(Path(spec.folder), pools, spec.accounts, spec.time_limit_minutes)
    return SlurmCluster(site.name, config, _slurm_transport(site, spec))


def _slurm_transport(site: SiteSpec, spec: SlurmClusterSpec) -> SlurmTransport:
    if spec.url is None or spec.user is None or spec.token_file is None:
        program = "sbatch" if spec.login_node is None else "ssh"
        if shutil.which(program) is None:
            limit = f"reached by url, or from where {program} is installed"
            raise Invalid(Refusal(f"site {site.name}", "cluster", spec.kind, limit))
        return SlurmCommands(spec.login_node)
    return SlurmRest(spec.url, spec.user, partial(read_token, Path(spec.token_file)))


def _battery(settings: Settings, site: SiteSpec, spec: BatterySpec, now: Now) -> Battery:
    rating = BatteryRating(
        capacity_kwh=spec.capacity_kwh,
        charge_max_kw=spec.power_kw,
        discharge_max_kw=spec.power_kw,
        charge_efficiency=spec.charge_efficiency,
        discharge_efficiency=spec.discharge_efficiency,
        soc_floor_kwh=spec.soc_floor_kwh,
    )
    # A folder per site: joined names of two sites' batteries could be the same.
    folder = settings.state_dir / "batteries" / site.name
    folder.mkdir(parents=True, exist_ok=True)
    state_file = folder / f"{spec.name}.json"
    return SimulatedBattery(spec.name, rating, spec.soc_initial_kwh, now, state_file)
