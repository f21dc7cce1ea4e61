"""A battery that is not there: it follows its setpoint with losses and stops when full or empty.

Between two looks its power is constant, so its state follows exactly, whatever the clock's speed.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from connectors.errors import Rejected, Unavailable
from connectors.types import StorageTelemetry

_S_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class BatteryRating:
    """What a battery can do. Power is at the grid's side, energy inside; efficiencies one-way."""

    capacity_kwh: float
    charge_max_kw: float
    discharge_max_kw: float
    charge_efficiency: float = 1.0
    discharge_efficiency: float = 1.0
    soc_floor_kwh: float = 0.0  # it stops discharging here: kept for backup

    def __post_init__(self) -> None:
        for field in ("capacity_kwh", "charge_max_kw", "discharge_max_kw"):
            value = getattr(self, field)
            if not 0 <= value < float("inf"):
                raise ValueError(f"battery: {field} = {value}, must be finite and >= 0")
        for field in ("charge_efficiency", "discharge_efficiency"):
            value = getattr(self, field)
            if not 0 < value <= 1:
                raise ValueError(f"battery: {field} = {value}, must be within (0, 1]")
        if not 0 <= self.soc_floor_kwh <= self.capacity_kwh:
            raise ValueError(
                f"battery: soc_floor_kwh = {self.soc_floor_kwh},"
                f" must be within [0, {self.capacity_kwh}]"
            )


@dataclass(frozen=True, slots=True)
class _State:
    """State of charge at ``at``, and the power it was told to hold from then on."""

    at: datetime
    soc_kwh: float
    setpoint_kw: float
    until: datetime | None = None  # then it rests; None: until told otherwise


def advance(rating: BatteryRating, state: _State, now: datetime) -> _State:
    """Return the state at ``now``; a clock that goes back changes nothing."""
    if state.until is not None and now >= state.until:
        held = _advance(rating, replace(state, until=None), state.until)
        state = replace(held, setpoint_kw=0.0)
    return _advance(rating, state, now)


def _advance(rating: BatteryRating, state: _State, now: datetime) -> _State:
    hours = max(0.0, (now - state.at).total_seconds() / _S_PER_HOUR)
    power_kw = state.setpoint_kw
    if power_kw >= 0:
        soc_kwh = state.soc_kwh + hours * power_kw * rating.charge_efficiency
        soc_kwh = min(soc_kwh, max(rating.capacity_kwh, state.soc_kwh))
    else:
        soc_kwh = state.soc_kwh + hours * power_kw / rating.discharge_efficiency
        soc_kwh = max(soc_kwh, min(rating.soc_floor_kwh, state.soc_kwh))
    return replace(state, at=max(now, state.at), soc_kwh=soc_kwh)


def power_kw(rating: BatteryRating, state: _State) -> float:
    """Return the power that flows: the setpoint, or none where it is full or empty."""
    is_full = state.setpoint_kw > 0 and state.soc_kwh >= rating.capacity_kwh
    is_empty = state.setpoint_kw < 0 and state.soc_kwh <= rating.soc_floor_kwh
    return 0.0 if is_full or is_empty else state.setpoint_kw


class SimulatedBattery:
    """Implements ``Battery``.

    Parameters
    ----------
    now
        The clock; an accelerated one makes the battery as much faster.
    state_file
        Where its state is kept, so that it survives a restart; None keeps it in memory. What was
        kept wins over ``soc_kwh``, and the setpoint has been held meanwhile.
    """

    def __init__(
        self,
        name: str,
        rating: BatteryRating,
        soc_kwh: float,
        now: Callable[[], datetime],
        state_file: Path | None = None,
    ) -> None:
        if not 0 <= soc_kwh <= rating.capacity_kwh:
            raise ValueError(
                f"battery {name}: soc_kwh = {soc_kwh}, must be within [0, {rating.capacity_kwh}]"
            )
        self.name = name
        self._rating = rating
        self._now = now
        self._file = state_file
        self._state = _State(now(), soc_kwh, 0.0)

    async def telemetry(self) -> StorageTelemetry:
        """State at the clock's now."""
        state = await self._current()
        return StorageTelemetry(
            state.at, state.soc_kwh, power_kw(self._rating, state), state.setpoint_kw
        )

    async def set_power(self, power_kw: float, hold_s: float | None = None) -> None:
        """Hold ``power_kw``, positive for charging, until told otherwise or for ``hold_s``."""
        least, most = -self._rating.discharge_max_kw, self._rating.charge_max_kw
        if not least <= power_kw <= most:
            raise Rejected(
                f"battery {self.name}: power_kw = {power_kw:g},"
                f" must be within [{least:g}, {most:g}]"
            )
        before = await self._current()
        until = None if hold_s is None else before.at + timedelta(seconds=hold_s)
        self._state = _State(before.at, before.soc_kwh, power_kw, until)
        if self._file is not None:
            await asyncio.to_thread(self._keep, self._file, self._state)

    async def close(self) -> None:
        """Nothing is held."""

    async def _current(self) -> _State:
        # The file is asked every time: another process may have told the battery what to do.
        kept = None if self._file is None else await asyncio.to_thread(self._load, self._file)
        return advance(self._rating, kept or self._state, self._now())

    def _keep(self, file: Path, state: _State) -> None:
        record = {
            "at": state.at.isoformat(),
            "soc_kwh": state.soc_kwh,
            "setpoint_kw": state.setpoint_kw,
            "until": None if state.until is None else state.until.isoformat(),
        }
        beside = file.with_name(f"{file.name}.{os.getpid()}.new")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("w") as stream:
                json.dump(record, stream)
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(file)
        except OSError as error:
            raise Unavailable(f"battery {self.name}: {error}") from error

    def _load(self, file: Path) -> _State | None:
        try:
            record = json.loads(file.read_text())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"battery {self.name}: {error}") from error
        at = datetime.fromisoformat(record["at"])
        until = record.get("until")
        until_at = None if until is None else datetime.fromisoformat(until)
        return _State(at, record["soc_kwh"], record["setpoint_kw"], until_at)
