"""Orders that the tests of clusters give; commands are ``sh`` scripts."""

from __future__ import annotations

from connectors.types import JobOrder

POOL = "pool"
GPUS = 4
ENDLESS = ("sh", "-c", "echo up; exec sleep 600")


def order(key: str, script: str, gpus: int = 1, **more: object) -> JobOrder:
    """Order ``script`` for the shell."""
    return JobOrder(key, ("sh", "-c", script), POOL, gpus, **more)  # type: ignore[arg-type]


def endless(key: str, gpus: int = 1, **more: object) -> JobOrder:
    """Order something that ends only when it is told to."""
    return JobOrder(key, ENDLESS, POOL, gpus, **more)  # type: ignore[arg-type]
