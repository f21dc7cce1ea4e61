"""What every ``Cluster`` must do about power; see ``tests/contracts/cluster.py``."""

from __future__ import annotations

import pytest

from connectors.errors import Rejected, Unavailable
from connectors.protocols import Cluster
from connectors.types import JobState, MeasuredPower
from tests.contracts.orders import GPUS, endless
from tests.contracts.power_source import Says
from tests.contracts.waiting import seen, seen_as


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
