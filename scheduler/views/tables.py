"""A plan as data frames, for CSV, JSON and notebooks. Every column names its unit."""

from __future__ import annotations

import pandas as pd

from scheduler.services.plan_document import PlanDocument
from scheduler.views.job_rows import PlacedJob, placed_jobs
from scheduler.views.series import SiteSeries, site_series


def energy_table(doc: PlanDocument) -> pd.DataFrame:
    """Every flow, price and intensity, one row per site and slot.

    ``soc_kwh`` is at slot end; GPUs are per pool, as ``gpus_used_<pool>`` and
    ``gpus_available_<pool>`` (empty where a site has no such pool).
    """
    return pd.concat(
        [_site_frame(doc, series) for series in site_series(doc.problem, doc.plan)],
        ignore_index=True,
    )


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
