from __future__ import annotations

import numpy as np
import pytest

from benchmarks.draws import CAPS, SIZES, Draw, Size, capped, crowd
from benchmarks.instances import drawn

# Sums weighted by the number of the job, then GPUs, and sums of prices and PV: as published.
PUBLISHED = {
    "S": (482_314, 618_361, 51_816, 1_319_891, 4_016_606, 86, 20132.498009831, 326.617426847),
    "M": (7_232_377, 10_423_990, 793_270, 44_628_964, 90_672_068, 171, 30448.07654, 974.155464957),
    "L": (
        *(184_552_901, 267_547_380, 20_002_036, 3_532_331_964, 4_693_453_788),
        *(195, 140918.169275555, 2592.051090967),
    ),
    "XL": (
        *(18_459_812_361, 26_514_339_888, 2_001_532_457, 353_949_031_450, 469_572_222_461),
        *(819, 281858.819749467, 10886.614582063),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_reference_instances_are_the_published_ones(name: str) -> None:
    """A bound proven elsewhere holds here only if every number is the same."""
    draw = Draw.of(SIZES[name])
    number = np.arange(1, draw.size.n_jobs + 1)
    of_jobs = (draw.duration, draw.gpus, draw.is_interruptible, draw.release, draw.deadline)
    sums = tuple(int((number * values).sum()) for values in of_jobs)
    assert (*sums, draw.gpus_per_site) == PUBLISHED[name][:6]
    assert draw.import_eur_per_mwh.sum() == pytest.approx(PUBLISHED[name][6], rel=1e-11)
    assert draw.pv_kw.sum() == pytest.approx(PUBLISHED[name][7], rel=1e-11)


def test_the_problem_has_the_numbers_drawn() -> None:
    """Job by job and site by site."""
    draw, problem = Draw.of(SIZES["S"]), drawn(SIZES["S"])
    for row in (0, 1, 2, 499):
        job = problem.jobs[row]
        assert (job.work, job.points[4].gpus) == (draw.duration[row], draw.gpus[row])
        assert (job.release_slot, job.deadline_slot) == (draw.release[row], draw.deadline[row])
        assert (job.pausing is not None) == draw.is_interruptible[row]
    site = problem.sites[3]
    assert site.grid.import_price_eur_per_mwh == tuple(draw.import_eur_per_mwh[3].tolist())
    assert site.storage[0].capacity_kwh == pytest.approx(2 * 0.3 * 0.5 * 86)


def test_jobs_of_a_capped_crowd_may_change_between_all_caps_of_a_site() -> None:
    """Power and speed are shares of those without a cap; the draw is the same."""
    problem, plain = drawn(capped(20)), drawn(Size(20, 5, 72))
    for job, other in zip(problem.jobs, plain.jobs, strict=True):
        assert job.is_elastic
        assert not other.is_elastic
        assert (job.work, job.release_slot) == (other.work, other.release_slot)
        whole, *caps = job.points[: len(CAPS)]
        assert whole == other.points[0]
        assert {point.site for point in caps} == {whole.site}
        assert [(p.power_kw / whole.power_kw, p.work_per_hour) for p in caps] == [*CAPS[1:]]


@pytest.mark.parametrize("size", [crowd(1_000), Size(20, 2, 27)], ids=str)
def test_every_job_fits_into_its_window(size: Size) -> None:
    """A job nobody can serve costs every policy the same, and hides what they differ in."""
    draw = Draw.of(size)
    assert (draw.release >= 0).all()
    assert (draw.release + draw.duration <= draw.deadline).all()
    assert (draw.deadline <= size.n_slots).all()
    assert draw.gpus.max() <= draw.gpus_per_site
