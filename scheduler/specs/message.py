"""One message of a stream: a reading of something at a site, or a value of a signal.

Whoever sends writes these, over MQTT, over Kafka or in batches over HTTP: JSON, one object each.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Field, Tag, TypeAdapter

from connectors.types import SignalKind
from scheduler.specs.base import MOST, Instant, Name, Spec, Text


class TelemetrySeries(StrEnum):
    """What a reading is of. Power of a site is positive while it imports, of a battery charging."""

    SITE_POWER = "site_power"  # kW at the meter of the grid connection
    PV_POWER = "pv_power"  # kW
    WIND_POWER = "wind_power"  # kW
    BATTERY_POWER = "battery_power"  # kW on the grid side
    BATTERY_SOC = "battery_soc"  # kWh
    GPU_POWER = "gpu_power"  # W of one GPU
    JOB_PROGRESS = "job_progress"  # share of its work that a job says is done, 0 to 1
    JOB_TOKENS = "job_tokens"  # millions of tokens that a job has processed since it was started

    @property
    def unit(self) -> str:
        """Unit of every reading of this series."""
        return _SERIES[self].unit

    @property
    def least(self) -> float:
        """The lowest value that can be true."""
        return _SERIES[self].least

    @property
    def most(self) -> float:
        """The highest value that can be true."""
        return _SERIES[self].most

    @property
    def is_of_a_device(self) -> bool:
        """Whether a site has several of these, so that each reading says of which it is."""
        return _SERIES[self].is_of_a_device


class _Series(Spec):
    unit: str
    least: float
    most: float
    is_of_a_device: bool = False


_MOST_KW = 10_000_000.0
_SERIES = {
    TelemetrySeries.SITE_POWER: _Series(unit="kW", least=-_MOST_KW, most=_MOST_KW),
    TelemetrySeries.PV_POWER: _Series(unit="kW", least=0.0, most=_MOST_KW),
    TelemetrySeries.WIND_POWER: _Series(unit="kW", least=0.0, most=_MOST_KW),
    TelemetrySeries.BATTERY_POWER: _Series(
        unit="kW", least=-_MOST_KW, most=_MOST_KW, is_of_a_device=True
    ),
    TelemetrySeries.BATTERY_SOC: _Series(unit="kWh", least=0.0, most=MOST, is_of_a_device=True),
    TelemetrySeries.GPU_POWER: _Series(unit="W", least=0.0, most=10_000.0, is_of_a_device=True),
    TelemetrySeries.JOB_PROGRESS: _Series(unit="1", least=0.0, most=1.0, is_of_a_device=True),
    TelemetrySeries.JOB_TOKENS: _Series(unit="million", least=0.0, most=MOST, is_of_a_device=True),
}

Device = Annotated[str, Field(max_length=120, pattern=r"^([A-Za-z0-9][A-Za-z0-9._:/\-]*)?$")]
"""A battery, a GPU (``node-7/3``) or a job, by name; empty for what a site has one of."""

Unit = Annotated[str, Field(min_length=1, max_length=20)]


class _Message(Spec):
    """What every message says.

    ``source`` is who sends, ``id`` a name or number the sender gives each message once; without one
    a message is known again by its content. ``sent_at`` is when it was sent, by the sender's clock.
    """

    source: Name
    id: Annotated[Text, Field(min_length=1, max_length=200)] | None = None
    site: Name
    value: Annotated[float, Field(ge=-MOST, le=MOST)]
    unit: Unit
    sent_at: Instant | None = None


class TelemetryMessage(_Message):
    """A reading taken at one instant."""

    series: TelemetrySeries
    device: Device = ""
    at: Instant


class SignalMessage(_Message):
    """A value for [start_at, start_at + minutes), known since ``known_at``; none: since it came."""

    kind: SignalKind
    start_at: Instant
    minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 60
    known_at: Instant | None = None


def _form_of(document: Any) -> str:
    """Tell the form of a message by what it is about, so that errors are those of one form."""
    is_signal = "kind" in document if isinstance(document, dict) else hasattr(document, "kind")
    return "signal" if is_signal else "telemetry"


Message: TypeAlias = TelemetryMessage | SignalMessage

MESSAGE: TypeAdapter[Message] = TypeAdapter(
    Annotated[
        Annotated[TelemetryMessage, Tag("telemetry")] | Annotated[SignalMessage, Tag("signal")],
        Discriminator(_form_of),
    ]
)
"""Reads a message of either form."""
