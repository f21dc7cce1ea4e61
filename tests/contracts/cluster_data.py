"""What every ``Cluster`` must do for input data to be brought to it: a part of its contract."""

from __future__ import annotations

from connectors.protocols import Cluster
from connectors.types import JobState
from tests.contracts.orders import GPUS, endless, order
from tests.contracts.waiting import seen_as


class DataContract:
    """Orders that hold no GPU, and a folder that orders share."""

    async def test_an_order_for_no_gpu_runs_beside_jobs_that_hold_them_all(
        self, cluster: Cluster
    ) -> None:
        """It holds none, and ends like any other."""
        await cluster.submit(endless("a", GPUS))
        await seen_as(cluster, "a", JobState.RUNNING)
        await cluster.submit(order("b", "exit 0", 0))
        assert (await seen_as(cluster, "b", JobState.SUCCEEDED)).starts == 1
        (pool,) = await cluster.capacity()
        assert pool.gpus_in_use == GPUS

    async def test_orders_of_the_same_data_share_a_folder(self, cluster: Cluster) -> None:
        """Whatever their keys; orders of other data have another, and none where none is named."""
        show = 'cat "$GRIDTIDE_DATA_DIR/in" || echo none'
        await cluster.submit(order("bring", 'echo 7 > "$GRIDTIDE_DATA_DIR/in"', 0, data="input"))
        await seen_as(cluster, "bring", JobState.SUCCEEDED)
        mine = {"GRIDTIDE_DATA_DIR": "/nowhere", "GRIDTIDE_DATA_SITE": "home"}
        await cluster.submit(order("use", show, data="input", environment=mine))
        await cluster.submit(order("other", show, data="output"))
        await cluster.submit(
            order("free", 'echo "$GRIDTIDE_DATA_DIR $GRIDTIDE_DATA_SITE"', environment=mine)
        )
        for key, printed in (("use", "7"), ("other", "none"), ("free", "/nowhere home")):
            await seen_as(cluster, key, JobState.SUCCEEDED)
            assert [line async for line in cluster.logs(key)][-1] == printed
