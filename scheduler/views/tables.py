"""A plan as data frames, for CSV, JSON and notebooks. Every column names its unit."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from optimizer import gpus_used
from scheduler.services.plan_document import PlanDocument
from scheduler.views.job_rows import PlacedJob, placed_jobs
from scheduler.views.series import Array, SiteSeries, site_series


def energy_table(doc: PlanDocument) -> pd.DataFrame:
    """Every flow, price and intensity, one row per site and slot.

    ``soc_kwh`` is at slot end; GPUs are per pool, as ``gpus_used_<pool>`` and
    ``gpus_available_<pool>`` (empty where a site has no such pool).
    """
    return pd.concat(
        [_site_frame(doc, series) for series in site_series(doc.problem, doc.plan)],
        ignore_index=True,
    )


def price_table(doc: PlanDocument) -> pd.DataFrame:
    """Price one more kWh and one more GPU-hour, and its carbon: one row per site and slot.

    ``marginal_eur_per_kwh`` and ``marginal_carbon_g_per_kwh`` are those of a kWh at the meter, jobs
    staying where they are: see ``optimizer.solving.marginal_energy``. ``it_eur_per_kwh`` is what a
    kWh of IT energy, PUE included, is worth to the jobs, and ``eur_per_gpu_hour_<pool>`` what a
    GPU-hour is: duals of the plan's relaxation. Prices weigh as the operator does, carbon at its
    price. Columns are empty where the plan has no such prices, or a site no such pool.
    """
    used = gpus_used(doc.problem, doc.plan.placements)
    frames = [_price_frame(doc, row, used) for row in range(len(doc.problem.sites))]
    return pd.concat(frames, ignore_index=True)


def _price_frame(
    doc: PlanDocument, row: int, used: Mapping[tuple[str, str], Array]
) -> pd.DataFrame:
    site, window = doc.problem.sites[row], doc.window
    marginal, prices = doc.plan.marginal, doc.plan.prices
    columns: dict[str, object] = {
        "site": site.name,
        "start_utc": pd.DatetimeIndex([window.instant(slot) for slot in range(window.n_slots)]),
        "marginal_eur_per_kwh": None if marginal is None else marginal.eur_per_kwh[row],
        "marginal_carbon_g_per_kwh": None if marginal is None else marginal.carbon_g_per_kwh[row],
        "it_eur_per_kwh": None if prices is None else prices.it_eur_per_kwh[row],
    }
    for number, pool in enumerate(site.pools):
        of_pool = None if prices is None else prices.gpu_eur_per_gpu_hour[row][number]
        columns[f"eur_per_gpu_hour_{pool.name}"] = of_pool
        columns[f"gpus_free_{pool.name}"] = pool.gpus - used[site.name, pool.name]
    return pd.DataFrame(columns)


def job_table(doc: PlanDocument) -> pd.DataFrame:
    """Every job, one row: where and when it runs, or why it does not.

    ``cost_eur`` and ``carbon_kg`` are the job's energy at the grid's price and intensity, see
    ``scheduler.views.job_rows``.
    """
    placed = [_placed_record(row) for row in placed_jobs(doc)]
    left_out: list[dict[str, object]] = [
        {
            "job": left.job,
            "status": "deferred" if left.is_deferred else "unserved",
            "reason": left.reason,
        }
        for left in doc.plan.unserved
    ]
    table = pd.DataFrame(placed + left_out, columns=_JOB_COLUMNS)
    # Whole numbers, also beside jobs that have none.
    return table.astype({"gpus": "Int64", "pauses": "Int64"})


_JOB_COLUMNS = (
    "job",
    "status",
    "site",
    "start_utc",
    "end_utc",
    "start_local",
    "end_local",
    "time_zone",
    "points",
    "gpus",
    "run_hours",
    "pauses",
    "wait_hours",
    "late_hours",
    "energy_kwh",
    "cost_eur",
    "energy_eur",
    "restarts_eur",
    "data_transfer_eur",
    "lateness_eur",
    "carbon_kg",
    "reason",
)


def _site_frame(doc: PlanDocument, series: SiteSeries) -> pd.DataFrame:
    window, site = doc.window, series.site
    starts = pd.DatetimeIndex([window.instant(slot) for slot in range(window.n_slots)])
    zone = doc.fleet.site(site.name).time_zone
    columns = {
        "site": site.name,
        "start_utc": starts,
        "start_local": [instant.isoformat() for instant in starts.tz_convert(zone)],
        "it_load_kw": series.it_kw,
        "pue": site.pue,
        "base_load_kw": site.base_load_kw,
        "load_kw": series.load_kw,
        "import_kw": series.import_kw,
        "export_kw": series.export_kw,
        "renewable_kw": series.renewable_kw,
        "renewable_available_kw": series.available_kw,
        "charge_kw": series.charge_kw,
        "discharge_kw": series.discharge_kw,
        "soc_kwh": series.soc_kwh,
        "generator_kw": series.generator_kw,
        "shortfall_kw": series.shortfall_kw,
        "import_price_eur_per_mwh": site.grid.import_price_eur_per_mwh,
        "export_price_eur_per_mwh": site.grid.export_price_eur_per_mwh,
        "network_fee_eur_per_mwh": site.grid.network_fee_eur_per_mwh,
        "carbon_g_per_kwh": site.grid.carbon_g_per_kwh,
    }
    for pool in series.pools:
        columns[f"gpus_used_{pool.pool}"] = pool.used
        columns[f"gpus_available_{pool.pool}"] = pool.available
    return pd.DataFrame(columns)


def _placed_record(row: PlacedJob) -> dict[str, object]:
    return {
        "job": row.job.name,
        "status": "late" if row.late_hours else "placed",
        "site": row.site,
        "start_utc": row.start_at.isoformat(),
        "end_utc": row.end_at.isoformat(),
        "start_local": row.start_local.isoformat(),
        "end_local": row.end_local.isoformat(),
        "time_zone": row.zone,
        "points": " ".join(row.points),
        "gpus": row.gpus,
        "run_hours": row.run_hours,
        "pauses": row.pauses,
        "wait_hours": row.wait_hours,
        "late_hours": row.late_hours,
        "energy_kwh": row.cost.energy_kwh,
        "cost_eur": row.cost.cost_eur,
        "energy_eur": row.cost.energy_eur,
        "restarts_eur": row.cost.restarts_eur,
        "data_transfer_eur": row.cost.data_transfer_eur,
        "lateness_eur": row.cost.lateness_eur,
        "carbon_kg": row.cost.carbon_kg,
        "reason": "",
    }
