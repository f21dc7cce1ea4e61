"""Numbers of placement problems with scarce GPUs: the reference instances, and growing crowds.

Random, but the same numbers come out every time, so that a bound one solver proves holds for all. A
job needs its GPUs for whole hours, at one site, in one piece or in any hours it likes; every GPU
draws 0.5 kW. A site has PV, a battery and a grid connection without export. Prices hold the carbon
at 80 EUR/t already. Jobs ask for up to three quarters of the GPU-hours there are (``SLACK``): where
GPUs are not scarce every policy looks good.

Only numpy is needed here, so that a solver which cannot share a process with HiGHS can have them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

SLACK = 1.35
"""GPU-hours there are, over those asked for."""
SPARE_GPUS = 32
"""More GPUs at every site, so that the largest job always fits beside others."""
KW_PER_GPU = 0.5
UNSERVED_EUR_PER_GPU_HOUR = 5.0
CARBON_EUR_PER_T = 80.0
PV_SHARE, BATTERY_SHARE, BATTERY_HOURS = 0.5, 0.3, 2.0
"""Rating of PV and battery as a share of all GPUs at work, and how long the battery lasts."""
ONE_WAY_EFFICIENCY = 0.95
WEAR_EUR_PER_KWH = 0.002

CAPS = ((1.0, 1.0), (0.75, 0.87), (0.55, 0.66))
"""Power and speed of a GPU at each cap, as shares of those without one."""
DURATIONS = ((1, 0.25), (2, 0.2), (3, 0.15), (4, 0.15), (6, 0.1), (8, 0.1), (12, 0.05))
GPUS = ((1, 0.35), (2, 0.2), (4, 0.15), (8, 0.2), (16, 0.05), (32, 0.05))
"""What jobs take, each with its share of the jobs."""
INTERRUPTIBLE_SHARE = 0.4
SPARE_SLOTS = (4, 35)
"""Least and most between the earliest end of a job and its deadline."""
LAST_RELEASE = 27
"""So many slots before the end of the horizon."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many jobs, sites and slots of an hour, and power caps that jobs may change between."""

    n_jobs: int
    n_sites: int
    n_slots: int
    n_caps: int = 1

    def __str__(self) -> str:
        caps = "" if self.n_caps == 1 else f", {self.n_caps} caps"
        return f"{self.n_jobs:,} × {self.n_sites} × {self.n_slots}".replace(",", " ") + caps


SIZES = {
    "S": Size(500, 5, 48),
    "M": Size(2_000, 5, 72),
    "L": Size(10_000, 10, 168),
    "XL": Size(100_000, 20, 168),
}
BOUND_EUR = {"S": 169.731, "M": 817.169, "L": 4908.16}
"""Proven by column generation that priced every job's placements out to the end, for seed 0."""


@dataclass(frozen=True, slots=True)
class Draw:
    """The numbers of one problem.

    Attributes
    ----------
    duration, gpus, is_interruptible, release, deadline
        Slots it takes, GPUs it holds, whether it may pause, and its window of slots [job].
    gpus_per_site, battery_kw, battery_kwh
        The same at every site, in every slot.
    import_eur_per_mwh
        Energy and priced carbon [site, slot].
    pv_kw
        Available [slot], at every site.
    """

    size: Size
    duration: Integers
    gpus: Integers
    is_interruptible: Bools
    release: Integers
    deadline: Integers
    gpus_per_site: int
    battery_kw: float
    battery_kwh: float
    import_eur_per_mwh: Floats
    pv_kw: Floats

    @classmethod
    def of(cls, size: Size, seed: int = 0) -> Draw:
        """Draw the numbers of ``size``.

        The order of the draws is what makes an instance: all of one kind, then all of the next.
        """
        rng = np.random.default_rng(seed)
        duration = _drawn_from(DURATIONS, size.n_jobs, rng)
        gpus = _drawn_from(GPUS, size.n_jobs, rng)
        is_interruptible = rng.random(size.n_jobs) < INTERRUPTIBLE_SHARE
        release = rng.integers(0, size.n_slots - LAST_RELEASE, size.n_jobs, endpoint=True)
        spare = rng.integers(*SPARE_SLOTS, size.n_jobs, endpoint=True)
        asked = int((duration * gpus).sum()) / (size.n_sites * size.n_slots)
        gpus_per_site = int(np.ceil(asked * SLACK + SPARE_GPUS))
        rated_kw = gpus_per_site * KW_PER_GPU
        return cls(
            size=size,
            duration=duration,
            gpus=gpus,
            is_interruptible=is_interruptible,
            release=release,
            deadline=np.minimum(size.n_slots, release + duration + spare),
            gpus_per_site=gpus_per_site,
            battery_kw=BATTERY_SHARE * rated_kw,
            battery_kwh=BATTERY_HOURS * BATTERY_SHARE * rated_kw,
            import_eur_per_mwh=_import_eur_per_mwh(size, rng),
            pv_kw=_pv_kw(rated_kw, size.n_slots),
        )

    @property
    def unserved_eur(self) -> Floats:
        """What leaving a job out costs [job]."""
        gpu_hours: Floats = (self.gpus * self.duration).astype(np.float64)
        return UNSERVED_EUR_PER_GPU_HOUR * gpu_hours


def crowd(n_jobs: int) -> Size:
    """Return the size of a crowd: always ten sites and a week, with GPUs for as many jobs."""
    return Size(n_jobs, SIZES["L"].n_sites, SIZES["L"].n_slots)


def capped(n_jobs: int) -> Size:
    """Return the size of a crowd at the sites and slots of M whose jobs may use every cap."""
    return Size(n_jobs, SIZES["M"].n_sites, SIZES["M"].n_slots, len(CAPS))


def _drawn_from(
    shares: tuple[tuple[int, float], ...], n: int, rng: np.random.Generator
) -> Integers:
    values, probability = zip(*shares, strict=True)
    return rng.choice(values, n, p=probability)


def _import_eur_per_mwh(size: Size, rng: np.random.Generator) -> Floats:
    """Daily waves, at other hours from site to site, and noise."""
    site, slot = np.arange(size.n_sites)[:, None], np.arange(size.n_slots)[None]
    energy = 60 + 30 * np.sin(2 * np.pi * (slot - 8) / 24 + site)
    noise = rng.normal(0, 5, (size.n_sites, size.n_slots))
    carbon_t_per_mwh = 0.3 + 0.15 * np.sin(2 * np.pi * (slot - 10) / 24 + 0.7 * site)
    price: Floats = energy + noise + CARBON_EUR_PER_T * carbon_t_per_mwh
    return price


def _pv_kw(rated_kw: float, n_slots: int) -> Floats:
    sun: Floats = np.maximum(0.0, np.sin(2 * np.pi * (np.arange(n_slots) - 6) / 24))
    pv_kw: Floats = PV_SHARE * rated_kw * sun
    pv_kw[pv_kw < 1e-6] = 0.0
    return pv_kw
