"""The control loop of one site: asks meter and batteries, decides, and tells the batteries.

It touches no database: what the plan wants it is handed, what happened it hands back. So nothing
but the devices of the site can make it late.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from connectors.types import MeterReading, StorageTelemetry
from scheduler.control.decide import decide
from scheduler.control.types import Bind, Ratings, SiteLimits, Step, Unit
from scheduler.control.watchdog import Patience, Silence, Trust, trust
from scheduler.services.site_devices import Answer, Devices, Line
from scheduler.services.site_orders import Orders
from scheduler.specs.fleet import BatterySpec, SiteSpec
from scheduler.specs.site_control import ControlSpec
from scheduler.timekeeping import Now

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ticked:
    """What one tick saw and did. Power is positive for import and for charging [kW].

    ``told_kw`` are the setpoints decided on, ``binds`` what they are as they are for; ``problems``
    says of whom something is wrong, and what: also to whom a setpoint did not come through.
    """

    at: datetime
    load_kw: float | None
    import_kw: float | None
    limits: SiteLimits
    batteries: Mapping[str, StorageTelemetry] = field(default_factory=dict)
    told_kw: Mapping[str, float] = field(default_factory=dict)
    binds: Mapping[str, Bind] = field(default_factory=dict)
    beyond_kw: float = 0.0
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Heard:
    """The last that was heard of a battery, and the last it was told, each with when [s]."""

    telemetry: StorageTelemetry | None = None
    heard_s: float = -math.inf
    told_kw: float = 0.0
    told_s: float = -math.inf


class SiteController:
    """Controls one site for as long as it ``may_tell``: one writer for each battery.

    ``orders`` returns what was read last of plan and limits.
    """

    def __init__(
        self,
        site: SiteSpec,
        control: ControlSpec,
        devices: Devices,
        orders: Callable[[], Orders],
        may_tell: Callable[[], bool],
        now: Now,
    ) -> None:
        self.site = site
        self._control = control
        self._devices = devices
        self._orders = orders
        self._may_tell = may_tell
        self._now = now
        self._ratings = {unit.name: _ratings(unit) for unit in site.batteries}
        self._heard = {name: _Heard() for name in self._ratings}
        self._meter_line: Line[MeterReading] = Line(f"meter {devices.meter.name}")
        self._lines: dict[str, Line[StorageTelemetry]] = _lines(self._ratings)
        self._telling: dict[str, Line[None]] = _lines(self._ratings)
        self._metered_s = -math.inf
        self._load_kw = 0.0
        self._import_kw: float | None = None
        self._last_s: float | None = None
        self._problems: tuple[str, ...] = ()

    async def tick(self) -> Ticked:
        """Ask, decide, tell; takes little longer than twice the time for an answer."""
        answered = await self._ask()
        orders, now, now_s = self._orders(), self._now(), time.monotonic()
        limits = orders.limits(self.site, now)
        trusted = trust(self._silence(orders, now_s), self._patience())
        names = [name for name in self._ratings if name in trusted.batteries]
        wanted = orders.wanted_kw(self.site.name, now) if trusted.has_plan else {}
        units = [self._unit(name, wanted.get(name, 0.0), now_s) for name in names]
        load_kw = self._load_kw if trusted.has_meter else None
        decided = decide(units, load_kw, limits, self._step(now_s))
        self._last_s = now_s
        setpoints = dict(zip(names, decided.setpoints_kw, strict=True))
        # A silent one may be listening: it is to rest.
        resting = {name: 0.0 for name in self._ratings if name not in setpoints}
        refused = await self._tell(setpoints | resting, now_s) if self._may_tell() else ()
        self._say((*trusted.reasons, *refused), (*answered, *self._device_problems(trusted)))
        return Ticked(
            at=now,
            load_kw=load_kw,
            import_kw=self._import_kw if trusted.has_meter else None,
            limits=limits,
            batteries={
                name: seen.telemetry
                for name, seen in self._heard.items()
                if seen.telemetry is not None and name in trusted.batteries
            },
            told_kw=setpoints,
            binds=dict(zip(names, decided.binds, strict=True)),
            beyond_kw=decided.beyond_kw,
            problems=self._problems,
        )

    async def close(self) -> None:
        """Let go of the devices; batteries rest by themselves once their time is over."""
        await self._devices.close()

    async def _ask(self) -> list[str]:
        """Ask everybody at once; return what went wrong."""
        answer_s = self._control.answer_s
        batteries = self._devices.batteries
        asked = [
            asyncio.create_task(self._lines[name].ask(batteries[name].telemetry, answer_s))
            for name in self._ratings
        ]
        meter = await self._meter_line.ask(self._devices.meter.read, answer_s)
        told = [await one for one in asked]
        now_s = time.monotonic()
        for name, answer in zip(self._ratings, told, strict=True):
            self._note(name, answer, now_s)
        if meter.value is not None:
            self._metered_s = now_s
            self._load_kw, self._import_kw = self._flows(meter.value)
        return [said for said in (meter.problem, *(one.problem for one in told)) if said]

    def _note(self, name: str, answer: Answer[StorageTelemetry], now_s: float) -> None:
        if answer.value is not None:
            self._heard[name].telemetry = answer.value
            self._heard[name].heard_s = now_s

    def _flows(self, reading: MeterReading) -> tuple[float, float]:
        """Return the load without batteries, and the import with them, at one reading."""
        known = (seen.telemetry for seen in self._heard.values())
        batteries_kw = sum(one.power_kw for one in known if one is not None)
        if reading.includes_batteries:
            return reading.power_kw - batteries_kw, reading.power_kw
        return reading.power_kw, reading.power_kw + batteries_kw

    def _silence(self, orders: Orders, now_s: float) -> Silence:
        heard = {name: now_s - seen.heard_s for name, seen in self._heard.items()}
        return Silence(now_s - orders.read_s, now_s - self._metered_s, heard)

    def _patience(self) -> Patience:
        control = self._control
        return Patience(control.plan_silent_s, control.meter_silent_s, control.battery_silent_s)

    def _unit(self, name: str, wanted_kw: float, now_s: float) -> Unit:
        seen = self._heard[name]
        state = seen.telemetry
        if state is None:
            raise ValueError(f"battery {name} was never heard of")
        # Once a setpoint is over, or where it was another's, the ramp begins at what flows.
        is_held = now_s - seen.told_s < self._control.hold_s
        return Unit(
            ratings=self._ratings[name],
            soc_kwh=state.soc_kwh,
            last_kw=seen.told_kw if is_held else state.power_kw,
            wanted_kw=wanted_kw,
            charge_max_kw=_or_any(state.charge_max_kw),
            discharge_max_kw=_or_any(state.discharge_max_kw),
        )

    def _step(self, now_s: float) -> Step:
        every_s = self._control.every_s
        since_s = every_s if self._last_s is None else min(now_s - self._last_s, 2 * every_s)
        return Step(since_s, self._control.hold_s)

    async def _tell(self, setpoints: Mapping[str, float], now_s: float) -> list[str]:
        """Tell all at once; return whose word did not come through, and why."""
        answers = await asyncio.gather(
            *(self._tell_one(name, power_kw) for name, power_kw in setpoints.items())
        )
        wrong = []
        for (name, power_kw), answer in zip(setpoints.items(), answers, strict=True):
            if answer.problem:
                wrong.append(f"{answer.problem}: not told {power_kw:.1f} kW")
            else:
                self._heard[name].told_kw = power_kw
                self._heard[name].told_s = now_s
        return wrong

    async def _tell_one(self, name: str, power_kw: float) -> Answer[None]:
        battery, control = self._devices.batteries[name], self._control
        return await self._telling[name].ask(
            lambda: battery.set_power(power_kw, control.hold_s), control.answer_s
        )

    def _device_problems(self, trusted: Trust) -> list[str]:
        return [
            f"battery {name}: {seen.telemetry.problem}"
            for name, seen in self._heard.items()
            if name in trusted.batteries and seen.telemetry is not None and seen.telemetry.problem
        ]

    def _say(self, *problems: tuple[str, ...]) -> None:
        """Log what is wrong when it changes; how long somebody is silent changes all the time."""
        before = {_without_figures(one) for one in self._problems}
        self._problems = tuple(one for some in problems for one in some)
        for one in self._problems:
            if _without_figures(one) not in before:
                log.warning("site %s: %s", self.site.name, one)
        if before and not self._problems:
            log.info("site %s: nothing is wrong any more", self.site.name)


def _ratings(unit: BatterySpec) -> Ratings:
    return Ratings(
        charge_max_kw=unit.power_kw,
        discharge_max_kw=unit.power_kw,
        capacity_kwh=unit.capacity_kwh,
        floor_kwh=unit.soc_floor_kwh,
        charge_efficiency=unit.charge_efficiency,
        discharge_efficiency=unit.discharge_efficiency,
        ramp_kw_per_s=_or_any(unit.ramp_kw_per_s),
    )


def _lines(names: Iterable[str]) -> dict[str, Line[T]]:
    return {name: Line(f"battery {name}") for name in names}


def _or_any(value: float | None) -> float:
    return math.inf if value is None else value


def _without_figures(text: str) -> str:
    return "".join(one for one in text if not one.isdigit())
