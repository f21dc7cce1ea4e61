"""A plan as data frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scheduler.services.plan_document import PlanDocument
from scheduler.views import energy_table, job_table
from scheduler.views.series import site_totals
from tests.views.sample import N_SLOTS, sample_document


@pytest.fixture(scope="module")
def doc() -> PlanDocument:
    """The sample plan."""
    return sample_document()


def test_energy_table_has_a_row_per_site_and_slot_that_balances(doc: PlanDocument) -> None:
    """Sources equal uses in every row, so the table can be checked by whoever gets it."""
    table = energy_table(doc)
    sources = table["import_kw"] + table["renewable_kw"] + table["discharge_kw"]
    sources += table["generator_kw"] + table["shortfall_kw"]
    uses = table["load_kw"] + table["charge_kw"] + table["export_kw"]
    assert len(table) == 2 * N_SLOTS
    np.testing.assert_allclose(sources, uses, atol=1e-9)


def test_energy_table_tells_time_in_utc_and_at_the_site(doc: PlanDocument) -> None:
    """The same slot is 02:00 in Berlin and the evening before in Oregon."""
    first = energy_table(doc).groupby("site").first()
    assert first.loc["berlin", "start_local"] == "2021-07-05T02:00:00+02:00"
    assert first.loc["oregon", "start_local"] == "2021-07-04T17:00:00-07:00"
    assert set(first["start_utc"]) == {pd.Timestamp("2021-07-05T00:00Z")}


def test_gpus_are_per_pool_and_empty_where_a_site_has_no_such_pool(doc: PlanDocument) -> None:
    """Only berlin has l40 GPUs."""
    table = energy_table(doc).set_index("site")
    assert table.loc["oregon", "gpus_used_l40"].isna().all()
    assert table.loc["berlin", "gpus_used_a100"].max() == 24


def test_job_table_lists_every_job_once(doc: PlanDocument) -> None:
    """Served, late, deferred and unserved jobs are all there, the latter with a reason."""
    table = job_table(doc).set_index("job")
    assert sorted(table.index) == sorted(job.name for job in doc.problem.jobs)
    assert table.loc["late-eval", "status"] == "late"
    assert table.loc["late-eval", "late_hours"] == 8
    assert table.loc["can-wait", "status"] == "deferred"
    assert "32 GPUs" in table.loc["too-big", "reason"]


def test_job_energy_includes_pue_restarts_and_data_transfer(doc: PlanDocument) -> None:
    """Seven hours of 6 kW and a restart of 1.5 kWh, at PUE 1.2."""
    row = job_table(doc).set_index("job").loc["finetune-pausable"]
    assert row["energy_kwh"] == pytest.approx((7 * 6 + 1.5) * 1.2)
    assert (row["pauses"], row["run_hours"], row["wait_hours"]) == (1, 7, 2)
    assert row["cost_eur"] == pytest.approx(row["energy_eur"] + 0.2)
    moved = job_table(doc).set_index("job").loc["moves-data"]
    assert moved["energy_kwh"] == pytest.approx((3 * 6 + 400 * 0.002) * 1.1)
    assert moved["data_transfer_eur"] == pytest.approx(4)


def test_money_of_the_sites_and_the_jobs_adds_up(doc: PlanDocument) -> None:
    """What sites owe and what restarts and transfers cost is the cost of the plan."""
    sites = sum(site.money_eur for site in site_totals(doc.problem, doc.plan))
    jobs = job_table(doc)[["restarts_eur", "data_transfer_eur"]].sum().sum()
    assert sites + jobs == pytest.approx(doc.plan.terms.money_eur)
    carbon = sum(site.carbon_kg for site in site_totals(doc.problem, doc.plan))
    assert carbon == pytest.approx(doc.plan.terms.carbon_kg)
