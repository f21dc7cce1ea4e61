"""What is the sites' own is laid on who used them, and counts in carbon per unit."""

from __future__ import annotations

import pytest

from scheduler.ledger.reports import Spread, Sums, carbon_intensity, chargeback

TOLD = Sums(
    kwh=10.0,
    gpu_hours=4.0,
    carbon_kg=3.0,
    embodied_kg=0.6,
    embodied_gpu_hours=4.0,
    tokens=1e6,
    tokens_kwh=10.0,
)
OWN = Sums(kwh=5.0, carbon_kg=1.5)


def test_tokens_bear_their_part_of_what_is_laid_on() -> None:
    """3 kg used, 1.5 kg of idle GPUs and 0.6 kg of making them are 5.1 kg for a million tokens."""
    found = chargeback([("DE", "chat", "", TOLD)], [("DE", OWN)], Spread.GPU_HOURS)
    (row,) = found.rows
    per_unit = carbon_intensity(row.used, row.laid_on)
    assert per_unit.g_per_million_tokens == pytest.approx(5100.0)
    assert per_unit.kwh_per_million_tokens == pytest.approx(15.0)
    assert per_unit.g_per_gpu_hour == pytest.approx(5100.0 / 4)
    assert carbon_intensity(found.used, found.own) == per_unit
    on_nobody = chargeback([("DE", "chat", "", TOLD)], [("DE", OWN)], Spread.NONE)
    assert carbon_intensity(on_nobody.used, on_nobody.own) == per_unit


def test_jobs_without_tokens_bear_the_rest() -> None:
    """Of 20 kWh used and 5 laid on, those that tell tokens bear half of both."""
    used = TOLD.plus(Sums(kwh=10.0, gpu_hours=4.0, carbon_kg=3.0))
    per_unit = carbon_intensity(used, OWN)
    assert per_unit.kwh_per_million_tokens == pytest.approx(12.5)
    assert per_unit.g_per_million_tokens == pytest.approx(7500.0 / 2)
    assert per_unit.embodied_kg is None, "it is told of half of the GPU-hours"
