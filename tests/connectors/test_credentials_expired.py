"""Credentials that expire while jobs run: nothing is assumed, it is said whose, and all goes on.

Against real servers, through the dispatcher: a token of Slurm that is over, one that Kubernetes
knows no more, and the new one that whoever renews it writes in its place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.clusters.slurm.rest import SlurmRest, read_token
from connectors.errors import Unavailable
from connectors.protocols import Cluster
from connectors.types import JobState
from scheduler.db.models import CommandKind, JobStatus
from scheduler.db.session import make_engine, make_session_factory
from scheduler.services.outside import Outside
from tests.contracts.orders import POOL, endless
from tests.contracts.waiting import end_everything, seen_as
from tests.peers.kubernetes import Place
from tests.peers.kubernetes_client import kubernetes_cluster
from tests.peers.kubernetes_rights import ACCOUNT
from tests.peers.processes import wait_until
from tests.peers.slurm import Slurm
from tests.services.builders import fleet_spec, site_spec
from tests.services.fakes import FakeCluster
from tests.services.play import Play, runs
from tests.services.scene import Scene, put_in_force

POINT = {"pool": POOL, "gpus": 1, "kw": 1.0}
WORK = {"command": ["sleep", "600"], "operating_points": [POINT], "work_hours": 4}


class Credentials(Protocol):
    """What a cluster knows us by, in a file."""

    def expire(self) -> None:
        """Let what is there be over."""

    def renew(self) -> None:
        """Put what is good in its place."""


class ExpiredCredentials:
    """What must happen. ``said`` names the cluster and what is wrong, in its words."""

    said: str

    @pytest.fixture
    def play(self, sqlite_url: str, cluster: Cluster) -> Iterator[Play]:
        """A site DE whose cluster it is."""
        engine = make_engine(sqlite_url)
        site = site_spec(pools=[{"name": POOL, "gpus": 4}])
        play = Play(Scene(make_session_factory(engine)).set_up(fleet_spec(site)), FakeCluster())
        play.outside = Outside({"DE": cluster})
        yield play
        engine.dispose()

    async def test_nothing_is_assumed_until_they_are_renewed(
        self,
        play: Play,
        cluster: Cluster,
        credentials: Credentials,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """What runs, runs; what is due waits and has not failed; then it is started, once."""
        job, due = play.scene.submit("now", **WORK), play.scene.submit("later", **WORK)
        placed = (("now", (0, 4)), ("later", (1, 5)))
        put_in_force(play.scene, *(runs(name, at, point=f"{POOL}x1") for name, at in placed))
        await asyncio.to_thread(play.at, 0)
        await seen_as(cluster, str(job), JobState.RUNNING)
        await asyncio.to_thread(play.at, 0.1)
        assert play.status(job) is JobStatus.RUNNING

        await asyncio.to_thread(credentials.expire)
        with caplog.at_level(logging.WARNING):
            for hours in (1, 1.5):
                await asyncio.to_thread(play.at, hours)
        assert (play.status(job), play.status(due)) == (JobStatus.RUNNING, JobStatus.WAITING)
        assert play.kinds() == [CommandKind.SUBMIT]
        said = [one.getMessage() for one in caplog.records if one.name.startswith("scheduler")]
        assert len(said) == 2
        assert all(line.startswith(f"DE does not answer: {self.said}") for line in said)
        assert all("expired?" in line for line in said)
        with pytest.raises(Unavailable, match="expired"):  # to be sent again: it has not failed
            await cluster.submit(endless("x"))

        credentials.renew()
        await asyncio.to_thread(play.at, 2)
        await seen_as(cluster, str(due), JobState.RUNNING)
        await asyncio.to_thread(play.at, 2.1)
        for one in (job, due):
            row = play.scene.job(one)
            assert (row.status, row.starts) == (JobStatus.RUNNING, 1)
        assert play.kinds() == [CommandKind.SUBMIT] * 2


class Jwt:
    """A token of Slurm in a file that is read before every request."""

    def __init__(self, slurm: Slurm, file: Path) -> None:
        self._slurm, self.file = slurm, file

    def expire(self) -> None:
        """Put one there that is over a second later, and wait for that."""
        self.file.write_text(self._slurm.token(lifespan_s=1))
        wait_until(self._is_over, "slurmrestd does not take it any more")

    def renew(self) -> None:
        """Put one there that lasts an hour."""
        self.file.write_text(self._slurm.token())

    def _is_over(self) -> bool:
        try:
            asyncio.run(self.transport().time())
        except Unavailable:
            return True
        return False

    def transport(self) -> SlurmRest:
        """Speak to slurmrestd with what is in the file."""
        return SlurmRest(self._slurm.rest_url, "root", partial(read_token, self.file))


class TestSlurmTokenExpired(ExpiredCredentials):
    """A JWT whose time is over, by slurmrestd."""

    said = "slurmrestd http://127.0.0.1:"

    @pytest.fixture
    def credentials(self, slurm: Slurm, tmp_path: Path) -> Jwt:
        """One that is good at first."""
        jwt = Jwt(slurm, tmp_path / "token")
        jwt.renew()
        return jwt

    @pytest.fixture
    async def cluster(
        self, slurm: Slurm, credentials: Jwt, tmp_path: Path
    ) -> AsyncIterator[Cluster]:
        """A cluster without jobs."""
        config = SlurmConfig(tmp_path / "shared", (SlurmPool(POOL, "one"),), settle_s=1.0)
        cluster = SlurmCluster("slurm", config, credentials.transport())
        yield cluster
        credentials.renew()
        await end_everything(cluster)
        slurm.wait_until_idle()


class TestCurrentSlurmTokenExpired(TestSlurmTokenExpired):
    """The same of a current release."""

    @pytest.fixture
    def slurm(self, current_slurm: Slurm) -> Slurm:
        """The current one."""
        return current_slurm


class Bearer:
    """The token of our account in a kubeconfig, which is good while a Secret of that name is."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._secrets = ACCOUNT.replace("serviceaccounts/gridtide", "secrets")
        self._good = place.kubeconfig.read_text()
        self._secret = f"{place.namespace}-token"
        meta = {"name": self._secret}
        made = place.plane.ask("POST", self._secrets, {"metadata": meta})
        bound = {"kind": "Secret", "apiVersion": "v1", "name": self._secret}
        wanted = {"spec": {"boundObjectRef": bound | {"uid": made["metadata"]["uid"]}}}
        token = place.plane.ask("POST", f"{ACCOUNT}/token", wanted)["status"]["token"]
        place.plane.kubeconfig(place.kubeconfig, token, place.namespace)
        self._token = token

    def expire(self) -> None:
        """Have the server take it no more: it asks after the Secret every few seconds."""
        self._place.plane.ask("DELETE", f"{self._secrets}/{self._secret}")
        wait_until(self._is_over, "the API server does not take it any more")

    def renew(self) -> None:
        """Have a good one there."""
        self._place.kubeconfig.write_text(self._good)

    def _is_over(self) -> bool:
        url = f"{self._place.plane.url}{self._place.jobs}"
        headers = {"Authorization": f"Bearer {self._token}"}
        reply = httpx.get(url, headers=headers, verify=self._place.plane.tls(), timeout=10)
        return reply.status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.peer
@pytest.mark.usefixtures("gpu_node")
class TestKubernetesTokenExpired(ExpiredCredentials):
    """A bearer token that the API server takes no more; watches that are open end with it."""

    said = "kubernetes: GET "

    @pytest.fixture
    def credentials(self, place: Place) -> Bearer:
        """One that is good at first."""
        return Bearer(place)

    @pytest.fixture
    async def cluster(self, place: Place) -> AsyncIterator[Cluster]:
        """A cluster with an empty namespace."""
        cluster = kubernetes_cluster(place, {"for": "everyone"})
        yield cluster
        await end_everything(cluster)
        await cluster.close()
