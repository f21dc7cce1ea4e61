r"""Sums of shares, what tenants are charged, and carbon per functional unit.

.. math::
    \text{SCI} = ((E \cdot I) + M) / R                                           \tag{S1}

ISO/IEC 21031:2024: ``E * I`` is the location-based carbon of the energy used, ``M`` the share of
what making the hardware emitted, ``R`` the functional unit: GPU-hours, or millions of tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum

MILLION = 1e6


class Spread(StrEnum):
    """By what a site's own energy and cost are laid on its tenants."""

    GPU_HOURS = "gpu_hours"
    ENERGY = "energy"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of shares; ``None``: nobody tells it, of any of them.

    ``measured_kwh`` is of shares whose energy was measured alone or shared out of a measured whole.
    ``marginal_kg`` and ``embodied_kg`` are told of ``marginal_kwh`` and ``embodied_gpu_hours``.
    """

    kwh: float = 0.0
    measured_kwh: float = 0.0
    it_kwh: float = 0.0
    gpu_hours: float = 0.0
    eur: float = 0.0
    carbon_kg: float = 0.0
    marginal_kg: float | None = None
    marginal_kwh: float = 0.0
    embodied_kg: float | None = None
    embodied_gpu_hours: float = 0.0
    tokens: float | None = None
    tokens_kwh: float = 0.0

    def plus(self, other: Sums) -> Sums:
        """Return the sums of both."""
        added = {
            each.name: _added(getattr(self, each.name), getattr(other, each.name))
            for each in fields(Sums)
        }
        return Sums(**added)  # type: ignore[arg-type]

    def times(self, factor: float) -> Sums:
        """Return such a part of energy, cost and carbon; of nothing that is counted."""
        return Sums(
            kwh=self.kwh * factor,
            measured_kwh=self.measured_kwh * factor,
            it_kwh=self.it_kwh * factor,
            eur=self.eur * factor,
            carbon_kg=self.carbon_kg * factor,
            marginal_kg=None if self.marginal_kg is None else self.marginal_kg * factor,
            marginal_kwh=self.marginal_kwh * factor,
        )


def _added(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


def added(some: Iterable[Sums]) -> Sums:
    """Return the sums of all."""
    whole = Sums()
    for one in some:
        whole = whole.plus(one)
    return whole


@dataclass(frozen=True, slots=True)
class Charged:
    """What one tenant and project used itself, and what of the sites' own is laid on it."""

    tenant: str
    project: str
    used: Sums
    laid_on: Sums

    @property
    def total(self) -> Sums:
        """Both together."""
        return self.used.plus(self.laid_on)


@dataclass(frozen=True, slots=True)
class Chargeback:
    """What everybody is charged; ``left`` is what is laid on nobody. All add up to the sites'."""

    rows: tuple[Charged, ...]
    left: Sums

    @property
    def used(self) -> Sums:
        """What everybody used."""
        return added(row.used for row in self.rows)

    @property
    def own(self) -> Sums:
        """What is the sites' own, whoever it is laid on."""
        return added([*(row.laid_on for row in self.rows), self.left])

    @property
    def total(self) -> Sums:
        """All of it."""
        return self.used.plus(self.own)


def chargeback(
    used: Sequence[tuple[str, str, str, Sums]], own: Sequence[tuple[str, Sums]], spread: Spread
) -> Chargeback:
    """Lay what each site has of its own on those who used it.

    Parameters
    ----------
    used
        Site, tenant, project, and what their jobs used there.
    own
        Site, and what is its own there.
    """
    weight = {Spread.GPU_HOURS: "gpu_hours", Spread.ENERGY: "kwh"}.get(spread)
    rows: dict[tuple[str, str], Charged] = {}
    whole: dict[str, float] = {}
    for site, tenant, project, sums in used:
        row = rows.setdefault((tenant, project), Charged(tenant, project, Sums(), Sums()))
        rows[tenant, project] = replace(row, used=row.used.plus(sums))
        if weight is not None:
            whole[site] = whole.get(site, 0.0) + getattr(sums, weight)
    left = Sums()
    for site, sums in own:
        if weight is None or whole.get(site, 0.0) <= 0.0:
            left = left.plus(sums)
            continue
        for where, tenant, project, theirs in used:
            if where == site:
                row = rows[tenant, project]
                part = sums.times(getattr(theirs, weight) / whole[site])
                rows[tenant, project] = replace(row, laid_on=row.laid_on.plus(part))
    return Chargeback(tuple(rows[key] for key in sorted(rows)), left)


@dataclass(frozen=True, slots=True)
class CarbonIntensity:
    """Carbon per functional unit (S1), and energy per unit; ``None``: there is nothing to tell.

    ``operational_kg`` is ``E * I``, ``embodied_kg`` ``M``, left out where ``None``. Per million
    tokens only jobs count that tell their tokens, with their part of what is laid on all.
    """

    operational_kg: float
    embodied_kg: float | None
    g_per_gpu_hour: float | None
    kwh_per_gpu_hour: float | None
    kwh_per_million_tokens: float | None
    g_per_million_tokens: float | None


def carbon_intensity(used: Sums, laid_on: Sums) -> CarbonIntensity:
    """Return the carbon of what was ``used``, and of what is ``laid_on`` it, per functional unit.

    ``M`` counts only where it is told of every GPU-hour: a part of it would be none.
    """
    total = used.plus(laid_on)
    hours = total.gpu_hours
    is_whole = total.embodied_kg is not None and total.embodied_gpu_hours >= hours * (1 - 1e-9)
    embodied_kg = total.embodied_kg if is_whole else None
    grams = 1000.0 * (total.carbon_kg + (embodied_kg or 0.0))
    millions = (total.tokens or 0.0) / MILLION
    # Carbon, and what is laid on, go with energy: jobs with tokens used a part of all that was.
    part = used.tokens_kwh / used.kwh if used.kwh > 0.0 else 0.0
    return CarbonIntensity(
        operational_kg=total.carbon_kg,
        embodied_kg=embodied_kg,
        g_per_gpu_hour=grams / hours if hours > 0.0 else None,
        kwh_per_gpu_hour=total.kwh / hours if hours > 0.0 else None,
        kwh_per_million_tokens=part * total.kwh / millions if millions > 0.0 else None,
        g_per_million_tokens=part * grams / millions if millions > 0.0 else None,
    )
