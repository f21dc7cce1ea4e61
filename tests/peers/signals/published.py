"""What a source has published: a value for every interval there is, but for what tests change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connectors.types import SignalKind, Window

_LEVELS = {
    SignalKind.PRICE: 40.0,
    SignalKind.EXPORT_PRICE: 35.0,
    SignalKind.CARBON_INTENSITY: 300.0,
    SignalKind.MARGINAL_CARBON_INTENSITY: 500.0,
    SignalKind.ZONE_LOAD: 50_000.0,
    SignalKind.ZONE_LOAD_FORECAST: 51_000.0,
    SignalKind.ZONE_SOLAR: 20_000.0,
    SignalKind.ZONE_SOLAR_FORECAST: 21_000.0,
    SignalKind.ZONE_WIND: 15_000.0,
    SignalKind.ZONE_WIND_FORECAST: 14_000.0,
    SignalKind.IRRADIANCE: 400.0,
    SignalKind.AIR_TEMPERATURE: 12.0,
    SignalKind.WIND_SPEED: 7.0,
}
_STEPS = 97  # values repeat after so many intervals, which is no day of any length


@dataclass
class Published:
    """Values by kind and start of interval.

    ``changed`` holds what differs from the rule; ``None`` there is a value that is missing.
    Nothing is published from ``until`` on. ``wrong_unit`` stands in documents in the place of the
    unit, where they state one.
    """

    minutes: int
    changed: dict[tuple[SignalKind, datetime], float | None] = field(default_factory=dict)
    until: datetime | None = None
    wrong_unit: str | None = None

    def value(self, kind: SignalKind, start: datetime) -> float | None:
        """Return what is published of the interval that starts at ``start``."""
        start = start.astimezone(UTC)
        if (kind, start) in self.changed:
            return self.changed[kind, start]
        if self.until is not None and start >= self.until:
            return None
        step = int(start.timestamp()) // (60 * self.minutes) % _STEPS
        return _LEVELS[kind] + step / 4

    def starts(self, window: Window) -> Iterator[datetime]:
        """Yield the starts of every interval that overlaps ``window``, published or not."""
        step = timedelta(minutes=self.minutes)
        seconds = step.total_seconds()
        first = int(window.start.timestamp() // seconds * seconds)
        start = datetime.fromtimestamp(first, UTC)
        while start < window.end:
            yield start
            start += step

    def rows(self, kind: SignalKind, window: Window) -> list[tuple[datetime, float]]:
        """Return what is published of intervals that start within ``window``."""
        found = ((start, self.value(kind, start)) for start in self.starts(window))
        return [
            (start, value) for start, value in found if value is not None and start >= window.start
        ]
