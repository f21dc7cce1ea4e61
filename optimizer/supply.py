r"""What more load costs and emits at a site of a plan that otherwise goes on as it is.

In slot t the load added is drawn from the sources that have room left, cheapest first:

.. math::
    c_t(\ell) = \Delta \sum_k p_{kt} \min\{r_{kt}, \max(0, \ell - \sum_{i<k} r_{it})\}   \tag{Q1}

Sources k are exports that are reduced, renewables that are curtailed, imports (up to each
contractual limit, and beyond it at its penalty) and generators that run or start for nothing; r is
the room of each [kW], p its price [EUR/kWh]. A slot that exports imports only when nothing is
exported any more. On top comes what a higher peak costs. Batteries do what the plan says, no
generator is started at a cost, and no slot that exports is turned to import for gain: planning the
same jobs anew can only be cheaper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.plan import SiteFlows
from optimizer.problem import Problem
from optimizer.settlement import ON_ABOVE_KW, billed_kw
from optimizer.sites import Site
from optimizer.tariffs import site_import_eur_per_kwh, tariff_of

Floats = NDArray[np.float64]

_NEGLIGIBLE_KW = 1e-9


@dataclass(frozen=True, slots=True)
class AddedLoad:
    """What load added to one site comes to over the horizon.

    Attributes
    ----------
    eur
        Rise of the plan's objective [EUR]: weighted, carbon at its price, breached limits included.
    paid_eur
        What is really paid more [EUR].
    carbon_kg, kwh
        Emitted and drawn more, with PUE.
    """

    eur: float
    paid_eur: float
    carbon_kg: float
    kwh: float


@dataclass(frozen=True, slots=True)
class SiteSupply:
    """Sources of one site that have room left; arrays are [source, slot], cheapest first.

    Attributes
    ----------
    room_kw
        What each can still give.
    eur_per_kwh, paid_eur_per_kwh, g_per_kwh
        Cost in the objective, what is really paid of it, and carbon.
    is_import
        Which are imports, and so may raise the peak.
    total_kw, import_kw
        All room, and what the plan imports [slot].
    peak_counts
        Whether import counts for each peak charge [charge, slot].
    peaks_kw, peak_eur_per_kw, peak_weight
        Peaks that are paid for already and prices of higher ones [charge, 1], and the operator's
        weight of them.
    """

    slot_hours: float
    room_kw: Floats
    eur_per_kwh: Floats
    paid_eur_per_kwh: Floats
    g_per_kwh: Floats
    is_import: NDArray[np.bool_]
    total_kw: Floats
    import_kw: Floats
    peak_counts: Floats
    peaks_kw: Floats
    peak_eur_per_kw: Floats
    peak_weight: float

    def drawn_kw(self, load_kw: Floats) -> Floats:
        """Return what each source gives of ``load_kw`` more [slot]: [source, slot] (Q1)."""
        before = np.cumsum(self.room_kw, axis=0) - self.room_kw
        drawn: Floats = np.clip(load_kw - before, 0.0, self.room_kw)
        return drawn

    def eur(self, load_kw: Floats, peak_slots: int) -> Floats:
        """Cost of ``load_kw`` more [slot] in EUR per slot; infinite where it cannot be carried.

        Higher peaks are paid once; each slot bears one of ``peak_slots`` shares of them.
        """
        drawn = self.drawn_kw(load_kw)
        cost: Floats = (drawn * self.eur_per_kwh).sum(axis=0) * self.slot_hours
        share = self.peak_weight * self.peak_eur_per_kw / peak_slots
        cost += (share * np.maximum(self._over_peaks_kw(drawn), 0.0)).sum(axis=0)
        return np.where(load_kw > self.total_kw + _NEGLIGIBLE_KW, np.inf, cost)

    def added(self, load_kw: Floats) -> AddedLoad:
        """Settle ``load_kw`` more [slot], which the site must be able to carry."""
        drawn = self.drawn_kw(load_kw)
        risen_kw = self._over_peaks_kw(drawn).max(axis=1, keepdims=True, initial=0.0)
        rise_eur = float((self.peak_eur_per_kw * risen_kw).sum())
        kwh = drawn * self.slot_hours
        return AddedLoad(
            eur=float((kwh * self.eur_per_kwh).sum()) + self.peak_weight * rise_eur,
            paid_eur=float((kwh * self.paid_eur_per_kwh).sum()) + rise_eur,
            carbon_kg=float((kwh * self.g_per_kwh).sum()) / 1000.0,
            kwh=float(kwh.sum()),
        )

    def _over_peaks_kw(self, drawn_kw: Floats) -> Floats:
        """Import above each peak that is paid for [charge, slot]: negative below, 0 not counted."""
        imported = self.import_kw + (drawn_kw * self.is_import).sum(axis=0)
        over: Floats = (imported - self.peaks_kw) * self.peak_counts
        return over


@dataclass(frozen=True, slots=True)
class _Source:
    """One source, arrays [slot] or one value for all; ``rank`` is the price it is sorted by."""

    room_kw: Floats
    eur_per_kwh: Floats | float
    paid_eur_per_kwh: Floats | float
    g_per_kwh: Floats | float
    rank: Floats | float
    is_import: bool = False


def supply_of(problem: Problem, site: Site, flows: SiteFlows) -> SiteSupply:
    """Return what ``site`` can still draw on top of ``flows``."""
    sources = [*_own_sources(problem, site, flows), *_imports(problem, site, flows)]
    n_slots = problem.horizon.n_slots

    def table(name: str) -> Floats:
        rows = [np.broadcast_to(getattr(source, name), n_slots) for source in sources]
        return np.array(rows, dtype=np.float64)

    order = np.argsort(table("rank"), axis=0, kind="stable")

    def in_order(name: str) -> Floats:
        return np.take_along_axis(table(name), order, axis=0)

    room = np.maximum(in_order("room_kw"), 0.0)
    imported = np.asarray(flows.import_kw)
    counts = np.array([peak.counts for peak in site.peaks], dtype=np.float64)
    charges = np.array([[peak.charge_eur_per_kw] for peak in site.peaks], dtype=np.float64)
    return SiteSupply(
        slot_hours=problem.horizon.slot_hours,
        room_kw=room,
        eur_per_kwh=in_order("eur_per_kwh"),
        paid_eur_per_kwh=in_order("paid_eur_per_kwh"),
        g_per_kwh=in_order("g_per_kwh"),
        is_import=in_order("is_import") > 0.0,
        total_kw=room.sum(axis=0),
        import_kw=imported,
        peak_counts=counts.reshape(-1, n_slots),
        peaks_kw=billed_kw(site, imported).reshape(-1, 1),
        peak_eur_per_kw=charges.reshape(-1, 1),
        peak_weight=problem.weights.peak,
    )


def _own_sources(problem: Problem, site: Site, flows: SiteFlows) -> Iterator[_Source]:
    """Yield exports to reduce, renewables that are curtailed, and generators."""
    weights = problem.weights
    sold = np.asarray(site.grid.export_price_eur_per_mwh) / 1e3
    lost = weights.energy * sold
    yield _Source(np.asarray(flows.export_kw), lost, sold, 0.0, lost)
    for plant, used in zip(site.renewables, flows.renewable_kw, strict=True):
        yield _Source(np.asarray(plant.available_kw) - np.asarray(used), 0.0, 0.0, 0.0, 0.0)
    for generator, output in zip(site.generators, flows.generator_kw, strict=True):
        given = np.asarray(output)
        is_free = generator.min_kw <= 0.0 and generator.start_eur <= 0.0
        room = np.where(is_free | (given > ON_ABOVE_KW), generator.max_kw - given, 0.0)
        grams, fuel = generator.emissions_g_per_kwh, generator.fuel_eur_per_kwh
        eur = weights.generation * fuel + weights.carbon_eur_per_t * grams / 1e6
        yield _Source(room, eur, fuel, grams, eur)


def _imports(problem: Problem, site: Site, flows: SiteFlows) -> Iterator[_Source]:
    """Yield imports up to each contractual limit in turn, and up to the rating."""
    grid, tariff = site.grid, tariff_of(problem, site, flows.declined)
    grams = np.asarray(grid.carbon_g_per_kwh)
    paid = np.asarray(grid.import_price_eur_per_mwh) + np.asarray(grid.network_fee_eur_per_mwh)
    paid = paid + 1e3 * np.asarray(site.coincident_eur_per_kw) / problem.horizon.slot_hours
    eur = site_import_eur_per_kwh(problem, site)
    rating = tariff.import_limit_kw
    limits = np.array([*(limit for limit, _ in tariff.caps), rating])
    breach = np.array([*(np.full_like(rating, eur) for _, eur in tariff.caps), 0.0 * rating])
    order = np.argsort(limits, axis=0, kind="stable")
    limits = np.minimum(np.take_along_axis(limits, order, axis=0), rating)
    breach = np.take_along_axis(breach, order, axis=0)
    exported = np.asarray(flows.export_kw)
    lost = problem.weights.energy * np.asarray(grid.export_price_eur_per_mwh) / 1e3
    begin = np.asarray(flows.import_kw)
    for limit, penalty in zip(limits, breach, strict=True):
        rank = np.where(exported > _NEGLIGIBLE_KW, np.maximum(eur, lost), eur)
        yield _Source(np.maximum(limit - begin, 0.0), eur, paid / 1e3, grams, rank, is_import=True)
        begin, eur = np.maximum(begin, limit), eur + penalty
