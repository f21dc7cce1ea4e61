"""One slot out of a site or a plan of many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from optimizer import GridConnection, Horizon, Problem, Site, SiteFlows, settle


def site_in_slot(site: Site, slot: int, generators_on: tuple[bool, ...] | None = None) -> Site:
    """Return ``site`` as it is in one slot alone, without charges on peaks.

    ``generators_on``: whether each generator ran in the slot before; ``None``: none did.
    """

    def of(series: tuple[float, ...]) -> tuple[float]:
        return (series[slot],)

    grid = site.grid
    on = generators_on or (False,) * len(site.generators)
    return replace(
        site,
        pools=tuple(replace(pool, gpus=of(pool.gpus)) for pool in site.pools),
        grid=GridConnection(
            import_limit_kw=of(grid.import_limit_kw),
            export_limit_kw=of(grid.export_limit_kw),
            import_price_eur_per_mwh=of(grid.import_price_eur_per_mwh),
            export_price_eur_per_mwh=of(grid.export_price_eur_per_mwh),
            network_fee_eur_per_mwh=of(grid.network_fee_eur_per_mwh),
            carbon_g_per_kwh=of(grid.carbon_g_per_kwh),
        ),
        pue=of(site.pue),
        base_load_kw=of(site.base_load_kw),
        renewables=tuple(
            replace(plant, available_kw=of(plant.available_kw)) for plant in site.renewables
        ),
        generators=tuple(
            replace(unit, is_on_initially=is_on)
            for unit, is_on in zip(site.generators, on, strict=True)
        ),
        peaks=(),
        coincident_peaks=(),
        sheddable=(),
    )


def expected_of(site: Site, flows: SiteFlows, slot: int, hours: float) -> dict[str, Any]:
    """Return what a plan lets expect of one slot of ``hours``: its forecasts, flows and cost.

    Energies in kWh, ``storage`` and ``generators`` by name: charged and discharged, and given.
    """
    one = site_in_slot(site, slot, _on_before(site, flows, slot))

    def kwh(series: tuple[float, ...]) -> float:
        return series[slot] * hours

    charged = [kwh(series) for series in flows.charge_kw]
    discharged = [kwh(series) for series in flows.discharge_kw]
    alone = SiteFlows(
        site=site.name,
        it_load_kw=(flows.it_load_kw[slot],),
        import_kw=(flows.import_kw[slot],),
        export_kw=(flows.export_kw[slot],),
        shortfall_kw=(flows.shortfall_kw[slot],),
        renewable_kw=tuple((series[slot],) for series in flows.renewable_kw),
        charge_kw=tuple((series[slot],) for series in flows.charge_kw),
        discharge_kw=tuple((series[slot],) for series in flows.discharge_kw),
        soc_kwh=tuple((series[slot],) for series in flows.soc_kwh),
        generator_kw=tuple((series[slot],) for series in flows.generator_kw),
    )
    terms = settle(Problem(Horizon(1, hours), (one,), ()), (), (alone,)).terms
    return {
        "bought_kwh": kwh(flows.import_kw),
        "sold_kwh": kwh(flows.export_kw),
        "it_kwh": kwh(flows.it_load_kw),
        "charged_kwh": sum(charged),
        "discharged_kwh": sum(discharged),
        "available_kwh": sum(kwh(plant.available_kw) for plant in site.renewables),
        "base_load_kwh": kwh(site.base_load_kw),
        "pue": site.pue[slot],
        "price_eur_per_mwh": one.grid.import_price_eur_per_mwh[0],
        "carbon_g_per_kwh": one.grid.carbon_g_per_kwh[0],
        "eur": terms.money_eur,
        "carbon_kg": terms.carbon_kg,
        "storage": {
            unit.name: [there, back]
            for unit, there, back in zip(site.storage, charged, discharged, strict=True)
        },
        "generators": {
            unit.name: kwh(series)
            for unit, series in zip(site.generators, flows.generator_kw, strict=True)
        },
    }


def _on_before(site: Site, flows: SiteFlows, slot: int) -> tuple[bool, ...]:
    """Whether each generator ran in the slot before, or before the plan."""
    return tuple(
        series[slot - 1] > 0.0 if slot else unit.is_on_initially
        for unit, series in zip(site.generators, flows.generator_kw, strict=True)
    )
