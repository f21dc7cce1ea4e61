"""Small fleets, jobs and signals for the tests of the services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from connectors.types import SignalKind
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec, JobSpec

START = datetime(2021, 7, 5, tzinfo=UTC)


def site_spec(name: str = "DE", **changes: Any) -> dict[str, Any]:
    """One site with eight GPUs, 100 kW of grid and nothing else."""
    return {
        "name": name,
        "time_zone": "UTC",
        "grid": {"import_limit_kw": 100.0},
        "pools": [{"name": "a100", "gpus": 8}],
    } | changes


def fleet_spec(*sites: dict[str, Any], **changes: Any) -> FleetSpec:
    """A fleet of these sites, or of a plain one; carbon has no price unless given."""
    planning = {"weights": {"carbon_eur_per_t": 0.0}} | changes.pop("planning", {})
    document = changes | {"planning": planning, "sites": sites or (site_spec(),)}
    return FleetSpec.model_validate(document)


def job_spec(name: str = "train", **changes: Any) -> JobSpec:
    """Two hours on one GPU at 1 kW, in the day from START."""
    document = {
        "name": name,
        "work_hours": 2.0,
        "operating_points": [{"pool": "a100", "gpus": 1, "kw": 1.0}],
        "release_at": START,
        "deadline_at": START + timedelta(hours=24),
    }
    return JobSpec.model_validate(document | changes)


def signal_rows(
    site: str,
    kind: SignalKind,
    values: Sequence[float],
    start: datetime = START,
    *,
    minutes: int = 60,
    known_at: datetime | None = None,
) -> pd.DataFrame:
    """Consecutive values of one signal, as assembly takes them."""
    starts = [start + timedelta(minutes=minutes * index) for index in range(len(values))]
    frame = pd.DataFrame(
        {
            "site": site,
            "kind": kind,
            "start_at": pd.to_datetime(starts, utc=True),
            "minutes": minutes,
            "value": [float(value) for value in values],
        }
    )
    frame["known_at"] = pd.to_datetime([known_at] * len(values), utc=True)
    return frame


def flat_signals(*sites: str, hours: int = 48, start: datetime = START) -> pd.DataFrame:
    """50 EUR/MWh and 200 g/kWh at each site."""
    frames = []
    for site in sites or ("DE",):
        frames.append(signal_rows(site, SignalKind.PRICE, [50.0] * hours, start))
        frames.append(signal_rows(site, SignalKind.CARBON_INTENSITY, [200.0] * hours, start))
    return pd.concat(frames, ignore_index=True)


def window(n_slots: int = 24, slot_minutes: int = 60, start: datetime = START) -> PlanWindow:
    """A window from START on."""
    return PlanWindow(start, slot_minutes, n_slots)
