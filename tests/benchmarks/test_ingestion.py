"""The readings a benchmark sends are all different, and its table names what it misses."""

from __future__ import annotations

from typing import Any

from benchmarks.ingestion.senders import DEVICES, Sending, batches, body
from benchmarks.ingestion.table import section
from scheduler.specs.message import MESSAGE, TelemetryMessage

ROW: dict[str, Any] = {
    "way": "MQTT",
    "database": "SQLite",
    "rate_per_s": 6000.0,
    "cpu_us": 80.0,
    "p50_ms": 10.0,
    "p99_ms": 100.0,
    "worst_ms": 200.0,
    "kills": 20,
    "sent": 20_000,
    "lost": 0,
    "doubled": 0,
    "load": 1.0,
    "day": "2026-11-27",
}


def test_every_reading_is_of_another_instant() -> None:
    """So that none is told from another by its id alone."""
    found = [MESSAGE.validate_json(body(number, 0.0)) for number in range(3 * DEVICES)]
    assert all(isinstance(one, TelemetryMessage) for one in found)
    assert len({one.at for one in found if isinstance(one, TelemetryMessage)}) == 3 * DEVICES
    assert [one.value for one in found] == list(range(3 * DEVICES))


def test_all_are_sent_once_at_a_rate_or_without() -> None:
    """In order, in batches."""
    for per_s in (None, 5000.0):
        some = [one for batch in batches(Sending(7, 250, per_s), 100) for one in batch]
        assert [MESSAGE.validate_json(one).value for one in some] == list(range(7, 257))


def test_what_is_missed_is_named() -> None:
    """With the load it was measured under; what is met is not."""
    slow = ROW | {"way": "HTTP", "rate_per_s": 4999.0, "load": 8.0}
    text = section([ROW, slow, ROW | {"way": "Kafka", "p99_ms": 250.0}])
    assert "The rate is missed by HTTP with SQLite (load 8.0)." in text
    assert "The delay is missed by Kafka with SQLite (load 1.0)." in text
    assert "missed" not in section([ROW])
