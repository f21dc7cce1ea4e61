"""A site and the facts of one slot, small and at will."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from optimizer import Generator, GridConnection, Pool, Renewable, Site, StorageUnit
from scheduler.ledger.account import SlotFacts, Work
from scheduler.ledger.metering import BothWays

REST = BothWays(0.0, 0.0)


def site(price: float = 100.0, carbon: float = 300.0, **changes: Any) -> Site:
    """One slot of a site with a plant, a battery and a generator."""
    grid = GridConnection((1e6,), (50.0,), (price,), (price / 2,), (10.0,), (carbon,))
    whole: dict[str, Any] = {
        "name": "DE",
        "pools": (Pool("a100", (8.0,), 0.1),),
        "grid": grid,
        "pue": (1.25,),
        "base_load_kw": (2.0,),
        "renewables": (Renewable("pv", (5.0,)),),
        "storage": (StorageUnit("battery", 10.0, 10.0, 20.0, 10.0, wear_eur_per_kwh=0.01),),
        "generators": (Generator("diesel", 0.0, 50.0, 0.4, 3.0, 800.0),),
    }
    return Site(**whole | changes)


def work(name: str = "train", kwh: float = 4.0, number: int = 1, **changes: Any) -> Work:
    """An hour of one job."""
    values: dict[str, Any] = {
        "job_id": UUID(int=number),
        "job": name,
        "tenant": "default",
        "project": "",
        "modelled_kwh": kwh,
        "gpu_hours": 2.0,
    }
    return Work(**values | changes)


def facts(*jobs: Work, **changes: Any) -> SlotFacts:
    """An hour in which nothing is metered."""
    values: dict[str, Any] = {
        "hours": 1.0,
        "grid": None,
        "it_kwh": None,
        "produced_kwh": (5.0,),
        "is_produced_measured": False,
        "storage": (REST,),
        "generators_kwh": (0.0,),
        "base_load_kwh": 2.0,
        "pue": 1.25,
        "idle_kwh": 0.5,
        "export_limit_kwh": 50.0,
        "work": jobs,
    }
    return SlotFacts(**values | changes)


def columns(found: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An account as the columns that are kept of it."""
    entry = {name: getattr(found.energy, name) for name in found.energy.__dataclass_fields__}
    entry |= {name: getattr(found.money, name) for name in found.money.__dataclass_fields__}
    entry |= {"carbon_kg": found.carbon_kg, "marginal_kg": found.marginal_kg}
    names = ("kwh", "it_kwh", "eur", "carbon_kg", "marginal_kg")
    return entry, [{name: getattr(share, name) for name in names} for share in found.shares]
