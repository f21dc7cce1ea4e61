"""From what the fleet says of a site's batteries and meter to the connections to them.

With ``scheduler.main``, ``clusters``, ``streams`` and ``signal_sources`` the only module that names
concrete connectors.
"""

from __future__ import annotations

from connectors.protocols import Battery, Meter
from connectors.storage.simulated import BatteryRating, SimulatedBattery
from scheduler.clusters import connect_cluster
from scheduler.services.errors import Invalid, Refusal
from scheduler.services.site_devices import ClusterMeter, Devices
from scheduler.settings import Settings
from scheduler.specs.fleet import BatterySpec, SiteSpec
from scheduler.specs.site_control import ControlSpec, ModbusDeviceSpec, ModbusMeterSpec
from scheduler.timekeeping import Now


def connect_devices(settings: Settings, site: SiteSpec, now: Now) -> Devices:
    """Make the connections to meter and batteries of a site with a control loop.

    Raises
    ------
    Invalid
        One cannot be spoken to from here.
    """
    control = site.control or ControlSpec()
    batteries = {unit.name: connect_battery(settings, site, unit, now) for unit in site.batteries}
    return Devices(_meter(settings, site, control, now), batteries)


def refuse_devices(site: SiteSpec) -> tuple[Refusal, ...]:
    """Say why devices of a site cannot be spoken to from here."""
    specs = [unit.connection for unit in site.batteries]
    meter = None if site.control is None else site.control.meter
    if any(isinstance(spec, ModbusDeviceSpec) for spec in (*specs, meter)):
        try:
            import connectors.storage.modbus.battery  # noqa: F401, PLC0415
        except ModuleNotFoundError as error:
            return (_missing(site, error),)
    return ()


def connect_battery(settings: Settings, site: SiteSpec, spec: BatterySpec, now: Now) -> Battery:
    """Make the connection to one battery; one without a connection is simulated."""
    if spec.connection is None:
        return _simulated(settings, site, spec, now)
    _require_modbus(site)
    from connectors.storage.modbus.battery import ModbusBattery, Plate  # noqa: PLC0415
    from connectors.storage.modbus.wire import ModbusAddress  # noqa: PLC0415

    control = site.control or ControlSpec()
    where = spec.connection
    address = ModbusAddress(where.host, where.port, where.unit, control.answer_s)
    plate = Plate(spec.power_kw, spec.power_kw, spec.capacity_kwh)
    return ModbusBattery(spec.name, address, plate, now)


def _meter(settings: Settings, site: SiteSpec, control: ControlSpec, now: Now) -> Meter:
    where = control.meter
    if not isinstance(where, ModbusMeterSpec):
        cluster = connect_cluster(settings, site)
        return ClusterMeter(cluster, site.pue, site.base_load_kw, now)
    _require_modbus(site)
    from connectors.storage.modbus.meter import ModbusMeter  # noqa: PLC0415
    from connectors.storage.modbus.wire import ModbusAddress  # noqa: PLC0415

    address = ModbusAddress(where.host, where.port, where.unit, control.answer_s)
    return ModbusMeter(site.name, address, now, counts_export=where.counts_export)


def _require_modbus(site: SiteSpec) -> None:
    if refusals := refuse_devices(site):
        raise Invalid(*refusals)


def _missing(site: SiteSpec, error: ModuleNotFoundError) -> Refusal:
    limit = f"spoken to with what the extra gridtide[modbus] installs ({error})"
    return Refusal(f"site {site.name}", "connection.kind", "modbus", limit)


def _simulated(settings: Settings, site: SiteSpec, spec: BatterySpec, now: Now) -> Battery:
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
