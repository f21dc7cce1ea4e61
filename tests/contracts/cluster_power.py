"""What every ``Cluster`` must do about power; see ``tests/contracts/cluster.py``.

``CapsContract`` is for those where somebody sets caps on the GPUs of a node.
"""

from __future__ import annotations

import pytest

from connectors.errors import Rejected, Unavailable
from connectors.protocols import Cluster
from connectors.types import JobState, MeasuredPower
from tests.contracts.orders import GPUS, endless
from tests.contracts.power_source import Says
from tests.contracts.waiting import seen, seen_as, seen_capped, until
from tests.peers.nvidia_smi import FakeGpus


class PowerContract:
    """The contract."""

    @pytest.fixture
    def meter(self) -> Says:
        """Who measures the power that ``same_cluster`` reads."""
        return Says(Unavailable("the meter is away"))

    async def test_the_power_cap_is_kept_and_changed(self, cluster: Cluster) -> None:
        """The cap of the order stands until another is set; None lifts it."""
        await cluster.submit(endless("a", 2, power_cap_w=250.0))
        assert (await seen(cluster, "a")).power_cap_w == 250.0
        await cluster.set_power_cap("a", 180.0)
        job = await seen_as(cluster, "a", JobState.RUNNING)
        assert job.power_cap_w == 180.0
        assert (job.power_cap_in_force_w, job.power_cap_problem) == (None, "")  # nobody says
        await cluster.set_power_cap("a", None)
        assert (await seen(cluster, "a")).power_cap_w is None
        with pytest.raises(Rejected, match="-5"):
            await cluster.set_power_cap("a", -5.0)

    async def test_work_draws_power(self, cluster: Cluster) -> None:
        """A running job draws more than none, and no less than under a lower cap."""
        idle_kw = (await cluster.power()).kw
        await cluster.submit(endless("a", GPUS, power_cap_w=300.0))
        await seen_as(cluster, "a", JobState.RUNNING)
        high_kw = (await cluster.power()).kw
        await cluster.set_power_cap("a", 150.0)
        low_kw = (await cluster.power()).kw
        assert 0 <= idle_kw < low_kw <= high_kw

    async def test_power_is_measured_where_all_of_it_is(
        self, cluster: Cluster, same_cluster: Cluster, meter: Says
    ) -> None:
        """Else it is modelled, says so and why, and is not what was measured of a part."""
        modelled = await cluster.power()
        assert (modelled.is_measured, modelled.reason) == (False, "nobody measures it")
        meter.said = MeasuredPower(1.23, GPUS)
        reading = await same_cluster.power()
        assert (reading.kw, reading.is_measured, reading.source) == (1.23, True, "meter")
        meter.said = MeasuredPower(0.4, GPUS - 1)
        reading = await same_cluster.power()
        assert (reading.kw, reading.is_measured) == (modelled.kw, False)
        assert f"meter: {GPUS - 1} GPUs reported" in reading.reason
        meter.said = Unavailable("the meter is away")
        assert (await same_cluster.power()).reason == "meter: the meter is away"


class CapsContract:
    """The contract of a cluster whose one node has ``gpus``, all of them free."""

    async def test_a_cap_is_in_force_on_its_gpus_while_its_job_runs(
        self, cluster: Cluster, gpus: FakeGpus
    ) -> None:
        """Read back, through every change, on no others, and not after it."""
        await cluster.submit(endless("other", 2))
        await seen_as(cluster, "other", JobState.RUNNING)
        await cluster.submit(endless("a", 2, power_cap_w=250.0))
        job = await seen_capped(cluster, "a", 250.0)
        assert (job.state, job.power_cap_problem) == (JobState.RUNNING, "")
        assert sorted(gpus.limits()) == [250.0, 250.0, 700.0, 700.0]
        assert (await seen_capped(cluster, "other", 700.0)).power_cap_problem == ""
        await cluster.set_power_cap("a", 180.0)
        assert (await seen_capped(cluster, "a", 180.0)).power_cap_problem == ""
        assert sorted(gpus.limits()) == [180.0, 180.0, 700.0, 700.0]
        await cluster.set_power_cap("a", None)
        await seen_capped(cluster, "a", 700.0)
        await cluster.set_power_cap("a", 180.0)
        await seen_capped(cluster, "a", 180.0)
        await cluster.cancel("a")
        job = await seen_as(cluster, "a", JobState.CANCELLED)
        assert (job.power_cap_in_force_w, job.power_cap_problem) == (None, "")
        await until(lambda: gpus.limits() == [700.0] * GPUS, "its GPUs have their default again")

    async def test_a_pause_gives_the_gpus_back_and_a_resumption_caps_them(
        self, cluster: Cluster, gpus: FakeGpus
    ) -> None:
        """Each run has the cap of its time."""
        await cluster.submit(endless("a", GPUS, power_cap_w=250.0))
        await seen_capped(cluster, "a", 250.0)
        await cluster.suspend("a")
        assert (await seen_as(cluster, "a", JobState.SUSPENDED)).power_cap_in_force_w is None
        await until(lambda: gpus.limits() == [700.0] * GPUS, "its GPUs have their default again")
        await cluster.resume(endless("a", GPUS, power_cap_w=400.0))
        await seen_capped(cluster, "a", 400.0)
        assert gpus.limits() == [400.0] * GPUS

    async def test_a_cap_that_is_refused_is_told_and_the_job_runs(
        self, cluster: Cluster, gpus: FakeGpus
    ) -> None:
        """In the words of the node, with what is in force instead."""
        await cluster.submit(endless("a", 1, power_cap_w=50.0))
        refused = "cap = 50 W, must be within [100.00, 700.00] W"
        job = await seen_capped(cluster, "a", 700.0, refused)
        assert (job.state, job.power_cap_w) == (JobState.RUNNING, 50.0)
        gpus.refuse("permission")
        await cluster.set_power_cap("a", 250.0)
        await seen_capped(cluster, "a", 700.0, "Insufficient Permissions")

    async def test_work_draws_what_is_in_force(self, cluster: Cluster) -> None:
        """A cap that was refused saves nothing in the model either."""
        await cluster.submit(endless("a", GPUS, power_cap_w=250.0))
        await seen_capped(cluster, "a", 250.0)
        assert (await cluster.power()).kw == pytest.approx(1.0)
        await cluster.set_power_cap("a", 50.0)
        await seen_capped(cluster, "a", 250.0, "must be within")
        assert (await cluster.power()).kw == pytest.approx(1.0)
