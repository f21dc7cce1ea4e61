"""How a site's batteries and meter are reached, and how closely they are looked after."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scheduler.specs.base import NonNegative, Spec
from scheduler.specs.clusters import LAST_PORT, Host

_LEAST_ASKS = 2  # of devices in one period: to tell, and to be told
_Seconds = Annotated[float, Field(gt=0, le=3600)]


class ModbusDeviceSpec(Spec):
    """A SunSpec device over Modbus TCP; needs ``gridtide[modbus]``."""

    kind: Literal["modbus"]
    host: Host
    port: Annotated[int, Field(ge=1, le=LAST_PORT)] = 502
    unit: Annotated[int, Field(ge=0, le=247)] = 1


class ModbusMeterSpec(ModbusDeviceSpec):
    """A SunSpec meter; ``counts_export`` where its power is positive for export."""

    counts_export: bool = False


class ClusterMeterSpec(Spec):
    """No meter: what the site's cluster says it draws, times PUE, plus the site's base load."""

    kind: Literal["cluster"] = "cluster"


BatteryConnectionSpec = ModbusDeviceSpec
MeterSpec = Annotated[ModbusMeterSpec | ClusterMeterSpec, Field(discriminator="kind")]


class ControlSpec(Spec):
    """The control loop of a site, which then is the only one to tell its batteries anything.

    Every ``every_s`` [s] it asks meter and batteries and tells these what to do; each has
    ``answer_s`` for an answer. ``margin_kw`` is kept from the limits of the site. Who is silent for
    longer than its limit is not counted on. A battery rests by itself where it hears nothing for
    ``hold_s``.
    """

    meter: MeterSpec = ClusterMeterSpec()
    every_s: Annotated[float, Field(ge=0.2, le=60)] = 2.0
    answer_s: Annotated[float, Field(ge=0.05, le=30)] = 0.8
    margin_kw: NonNegative = 0.0
    plan_silent_s: _Seconds = 300.0
    meter_silent_s: _Seconds = 10.0
    battery_silent_s: _Seconds = 10.0
    hold_s: _Seconds = 10.0

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.answer_s * _LEAST_ASKS > self.every_s:
            raise ValueError(
                f"control: answer_s = {self.answer_s:g}, must be <= every_s / {_LEAST_ASKS}"
                f" = {self.every_s / _LEAST_ASKS:g}: devices are asked, and then told"
            )
        for field in ("plan_silent_s", "meter_silent_s", "battery_silent_s", "hold_s"):
            value = getattr(self, field)
            if value < 2 * self.every_s:
                raise ValueError(
                    f"control: {field} = {value:g}, must be >= 2 * every_s = {2 * self.every_s:g}"
                )
        return self


def require_control(owner: str, control: ControlSpec | None, connected: list[str]) -> None:
    """Refuse a site whose batteries are reached by a network and told by no loop."""
    if connected and control is None:
        raise ValueError(
            f"{owner}: battery {connected[0]} has a connection: needs [sites.control], the loop"
            " that looks after it"
        )
