"""What load costs a site by the operator's own weights: at the margin, and in all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.events import EventPart
from optimizer.problem import Problem
from optimizer.sites import Site

Floats = NDArray[np.float64]

_NEGLIGIBLE_KW = 1e-9


def import_eur_per_kwh(problem: Problem) -> Floats:
    """Energy, network fee and priced carbon of imported energy, weighted [site, slot]."""
    return np.array([site_import_eur_per_kwh(problem, site) for site in problem.sites])


def site_import_eur_per_kwh(problem: Problem, site: Site) -> Floats:
    """Return what importing costs ``site``, weighted, with carbon and coincident peaks [slot]."""
    weights, grid = problem.weights, site.grid
    coincident = np.asarray(site.coincident_eur_per_kw) / problem.horizon.slot_hours
    price: Floats = (
        weights.energy * np.asarray(grid.import_price_eur_per_mwh) / 1e3
        + weights.network * np.asarray(grid.network_fee_eur_per_mwh) / 1e3
        + weights.carbon_eur_per_t * np.asarray(grid.carbon_g_per_kwh) / 1e6
        + weights.peak * coincident
    )
    return price


@dataclass(frozen=True, slots=True)
class PeakPrice:
    """A peak charge as the operator weighs it; stacked: [site, slot] and [site, 1].

    ``counts`` is 1 where import counts [slot]; ``paid_kw`` is billed whatever is imported.
    """

    counts: Floats
    eur_per_kw: float | Floats
    paid_kw: float | Floats

    @classmethod
    def stacked(cls, own: Sequence[PeakPrice]) -> PeakPrice:
        """Return one charge of every site at once."""
        return cls(
            np.array([peak.counts for peak in own]),
            np.array([[peak.eur_per_kw] for peak in own]),
            np.array([[peak.paid_kw] for peak in own]),
        )


@dataclass(frozen=True, slots=True)
class SiteTariff:
    """Cost of one site's load by slot, with own supply first: a guide, close to ``dispatch``.

    All generators together give any power at the price of the dearest; minimum loads, starts and
    their order are left out. Settlement, not this, says what a plan costs.

    All but the scalars are [slot]. ``caps`` are contractual import limits: kW, and EUR/kWh above.
    ``peaks`` are peak charges: where they count, EUR/kW, and kW that is billed anyway. Of several
    sites, ``stacked``, series are [site, slot] and scalars [site, 1].
    """

    slot_hours: float
    renewable_kw: Floats
    import_limit_kw: Floats
    export_limit_kw: Floats
    import_eur_per_kwh: Floats
    export_eur_per_kwh: Floats
    caps: tuple[tuple[Floats, float | Floats], ...]
    generator_kw: float | Floats
    generator_eur_per_kwh: float | Floats
    shortfall_eur_per_kwh: float
    peaks: tuple[PeakPrice, ...]

    @classmethod
    def stacked(cls, tariffs: Sequence[SiteTariff]) -> SiteTariff:
        """Return the tariff of several sites at once."""
        n_caps = max(len(tariff.caps) for tariff in tariffs)
        no_cap = (np.full_like(tariffs[0].renewable_kw, np.inf), 0.0)
        n_peaks = max(len(tariff.peaks) for tariff in tariffs)
        no_peak = PeakPrice(np.zeros_like(tariffs[0].renewable_kw), 0.0, 0.0)
        peaks = [[*tariff.peaks, *[no_peak] * (n_peaks - len(tariff.peaks))] for tariff in tariffs]
        caps = [[*tariff.caps, *[no_cap] * (n_caps - len(tariff.caps))] for tariff in tariffs]

        def series(name: str) -> Floats:
            return np.array([getattr(tariff, name) for tariff in tariffs])

        def scalars(name: str) -> Floats:
            return series(name)[:, None]

        return cls(
            slot_hours=tariffs[0].slot_hours,
            renewable_kw=series("renewable_kw"),
            import_limit_kw=series("import_limit_kw"),
            export_limit_kw=series("export_limit_kw"),
            import_eur_per_kwh=series("import_eur_per_kwh"),
            export_eur_per_kwh=series("export_eur_per_kwh"),
            caps=tuple(
                (np.array([own[k][0] for own in caps]), np.array([[own[k][1]] for own in caps]))
                for k in range(n_caps)
            ),
            generator_kw=scalars("generator_kw"),
            generator_eur_per_kwh=scalars("generator_eur_per_kwh"),
            shortfall_eur_per_kwh=tariffs[0].shortfall_eur_per_kwh,
            peaks=tuple(PeakPrice.stacked([own[k] for own in peaks]) for k in range(n_peaks)),
        )

    def at(self, slot: int) -> SiteTariff:
        """Return the tariff of this slot alone: its series have one value."""
        return self.during(slice(slot, slot + 1))

    def during(self, slots: slice) -> SiteTariff:
        """Return the tariff of these slots alone."""
        return replace(
            self,
            renewable_kw=self.renewable_kw[..., slots],
            import_limit_kw=self.import_limit_kw[..., slots],
            export_limit_kw=self.export_limit_kw[..., slots],
            import_eur_per_kwh=self.import_eur_per_kwh[..., slots],
            export_eur_per_kwh=self.export_eur_per_kwh[..., slots],
            caps=tuple((cap_kw[..., slots], breach) for cap_kw, breach in self.caps),
            peaks=tuple(replace(peak, counts=peak.counts[..., slots]) for peak in self.peaks),
        )

    def eur(self, load_kw: Floats, peaks_kw: Floats, peak_slots: int) -> Floats:
        """Cost of ``load_kw`` [..., slot] in EUR per slot; negative load is fed into the grid.

        An import above the peak that is paid for, one of ``peaks_kw`` [charge, ...], bears that
        charge, shared over ``peak_slots`` slots: each slot by itself, as if no other had raised the
        peak already.
        """
        fed_in = np.maximum(-load_kw, 0.0)
        net = np.maximum(load_kw, 0.0) - self.renewable_kw
        imported = np.clip(net, 0.0, self.import_limit_kw)
        beyond = np.maximum(net - self.import_limit_kw, 0.0)
        generated = np.minimum(beyond, self.generator_kw)
        room = np.maximum(self.export_limit_kw - fed_in, 0.0)
        sold = np.where(self.export_eur_per_kwh > 0.0, np.clip(-net, 0.0, room), 0.0)
        per_hour = (
            imported * self.import_eur_per_kwh
            + generated * self.generator_eur_per_kwh
            + (beyond - generated) * self.shortfall_eur_per_kwh
            - (sold + fed_in) * self.export_eur_per_kwh
        )
        for cap_kw, breach_eur_per_kwh in self.caps:
            per_hour = per_hour + np.maximum(imported - cap_kw, 0.0) * breach_eur_per_kwh
        cost = per_hour * self.slot_hours
        for peak, paid_kw in zip(self.peaks, peaks_kw, strict=True):
            over_kw = np.maximum(imported - paid_kw, 0.0) * peak.counts
            cost = cost + over_kw * (peak.eur_per_kw / peak_slots)
        # Batteries that export at the very limit exceed it by rounding.
        return np.where(fed_in > self.export_limit_kw + _NEGLIGIBLE_KW, np.inf, cost)

    def extra_eur(
        self, load_kw: Floats, more_kw: Floats, peaks_kw: Floats, peak_slots: int
    ) -> Floats:
        """Cost of ``more_kw`` on top of ``load_kw`` [..., slot]; peaks as in ``eur``."""
        before = self.eur(load_kw, peaks_kw, peak_slots)
        after = self.eur(load_kw + more_kw, peaks_kw, peak_slots)
        # Without a job there, batteries may feed in more than may be exported: any job is welcome.
        is_over = ~np.isfinite(before)
        cost: Floats = after - np.where(is_over, 0.0, before)
        return np.where(is_over & np.isfinite(after), 0.0, cost)

    def billed_kw(self, load_kw: Floats) -> Floats:
        """Return the demand each peak charge is on at ``load_kw`` [charge, ..., 1], slots as one.

        Without peak charges nothing: of length 0.
        """
        imported = np.clip(load_kw - self.renewable_kw, 0.0, self.import_limit_kw)
        highest = [
            np.maximum(peak.paid_kw, (imported * peak.counts).max(axis=-1, keepdims=True))
            for peak in self.peaks
        ]
        return np.array(highest, dtype=np.float64)


def tariff_of(problem: Problem, site: Site, declined: Collection[str] = ()) -> SiteTariff:
    """Return what load costs at ``site``, which takes no part in the events ``declined``.

    An event that asks several sites is no limit of any one of them.
    """
    n_slots, weights, grid = problem.horizon.n_slots, problem.weights, site.grid
    renewable = np.zeros(n_slots)
    for plant in site.renewables:
        renewable = renewable + np.asarray(plant.available_kw)
    fuel = [
        weights.generation * generator.fuel_eur_per_kwh
        + weights.carbon_eur_per_t * generator.emissions_g_per_kwh / 1e6
        for generator in site.generators
    ]
    slots = np.arange(n_slots)
    caps = tuple(
        (
            np.where(
                (slots >= limit.start_slot) & (slots < limit.end_slot), limit.limit_kw, np.inf
            ),
            limit.breach_eur_per_kwh,
        )
        for limit in problem.capacity_limits
        if limit.site == site.name
    )
    asked = [
        event
        for event in problem.events
        if event.sites == (site.name,) and event.name not in declined
    ]
    caps += tuple(_event_cap(part, n_slots) for event in asked for part in event.parts)
    return SiteTariff(
        slot_hours=problem.horizon.slot_hours,
        renewable_kw=renewable,
        import_limit_kw=np.asarray(grid.import_limit_kw),
        export_limit_kw=np.asarray(grid.export_limit_kw),
        import_eur_per_kwh=site_import_eur_per_kwh(problem, site),
        export_eur_per_kwh=weights.energy * np.asarray(grid.export_price_eur_per_mwh) / 1e3,
        caps=caps,
        generator_kw=sum(generator.max_kw for generator in site.generators),
        generator_eur_per_kwh=max(fuel, default=0.0),
        shortfall_eur_per_kwh=problem.penalties.shortfall_eur_per_kwh,
        peaks=tuple(
            PeakPrice(np.asarray(peak.counts), weights.peak * peak.charge_eur_per_kw, peak.paid_kw)
            for peak in site.peaks
        ),
    )


def _event_cap(part: EventPart, n_slots: int) -> tuple[Floats, float]:
    cap_kw = np.full(n_slots, np.inf)
    for slot, limit in part.limits(n_slots).items():
        cap_kw[slot] = limit
    return cap_kw, part.eur_per_kwh
