"""Settings, clocks, windows, and what the composition root makes of them."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.clusters.kubernetes.cluster import KubernetesCluster
from connectors.clusters.local.cluster import LocalCluster
from connectors.types import JobOrder
from scheduler.db.upgrade import upgrade
from scheduler.main import connect, open_sessions, outside_of
from scheduler.services import fleet as fleets
from scheduler.services.errors import Invalid
from scheduler.services.window import PlanWindow, slot_start_not_before
from scheduler.settings import Settings
from scheduler.timekeeping import accelerated_now, system_now
from tests.contracts.waiting import end_everything
from tests.peers.exporter import Exporter, served
from tests.peers.kubernetes import Place
from tests.peers.nvml import FakeNvml
from tests.peers.slurm import Slurm
from tests.services.builders import START, fleet_spec, site_spec


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a prefix; the database lies in the state folder unless stated."""
    monkeypatch.setenv("GRIDTIDE_STATE_DIR", "/srv/gridtide")
    monkeypatch.setenv("GRIDTIDE_PORT", "9000")
    settings = Settings()
    assert settings.port == 9000
    assert settings.resolved_database_url == "sqlite:////srv/gridtide/gridtide.db"
    monkeypatch.setenv("GRIDTIDE_DATABASE_URL", "postgresql+psycopg://db/gridtide")
    assert Settings().resolved_database_url == "postgresql+psycopg://db/gridtide"


def test_the_state_folder_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that changes its folder keeps its clusters."""
    monkeypatch.chdir(tmp_path)
    assert Settings().state_dir == tmp_path / "gridtide-state"
    assert Settings(state_dir=Path("mine")).state_dir == tmp_path / "mine"


def test_the_database_of_a_new_state_folder_can_be_used(tmp_path: Path) -> None:
    """The folder is made."""
    settings = Settings(state_dir=tmp_path / "new")
    sessions = open_sessions(settings)
    upgrade(settings.resolved_database_url)
    with sessions.begin() as session:
        assert fleets.find_current(session) is None
    sessions.kw["bind"].dispose()


async def test_each_site_gets_its_cluster_and_batteries(tmp_path: Path) -> None:
    """Local clusters have the pools of their site; batteries stand at their first charge."""
    battery = {"power_kw": 2, "capacity_kwh": 4, "soc_initial_kwh": 1}
    fleet = fleet_spec(site_spec(batteries=[battery]), site_spec("FR"))
    outside = connect(Settings(state_dir=tmp_path), fleet, lambda: START)
    assert list(outside.clusters) == ["DE", "FR"]
    assert isinstance(outside.clusters["DE"], LocalCluster)
    assert outside.accounts == {}
    (pool,) = await outside.clusters["FR"].capacity()
    assert (pool.pool, pool.gpus_total) == ("a100", 8)
    assert (await outside.batteries["DE", "battery"].telemetry()).soc_kwh == 1


async def test_batteries_with_names_that_join_alike_are_apart(tmp_path: Path) -> None:
    """DE-A's B is not DE's A-B."""
    unit = {"power_kw": 2, "capacity_kwh": 4}
    fleet = fleet_spec(
        site_spec("DE-A", batteries=[unit | {"name": "B", "soc_initial_kwh": 1}]),
        site_spec("DE", batteries=[unit | {"name": "A-B", "soc_initial_kwh": 3}]),
    )
    batteries = connect(Settings(state_dir=tmp_path), fleet, lambda: START).batteries
    for battery in batteries.values():
        await battery.set_power(0.0)
    assert (await batteries["DE-A", "B"].telemetry()).soc_kwh == 1
    assert (await batteries["DE", "A-B"].telemetry()).soc_kwh == 3


def test_connections_are_made_anew_only_for_another_fleet(tmp_path: Path) -> None:
    """A battery told to charge must be the one that is read next."""
    outside = outside_of(Settings(state_dir=tmp_path), lambda: START)
    first = outside(fleet_spec())
    assert outside(fleet_spec()) is first
    assert list(outside(fleet_spec(site_spec("FR"))).clusters) == ["FR"]


async def test_a_slurm_site_is_spoken_to_as_its_spec_says(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its commands, and by REST with the token of a file; a pool is a partition or mapped."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    (tmp_path / "token").write_text(f"{slurm.token()}\n")
    rest = {"url": slurm.rest_url, "user": "root", "token_file": str(tmp_path / "token")}
    for n, way in enumerate(({}, rest)):
        spec = {
            "kind": "slurm",
            "folder": str(tmp_path / f"shared-{n}"),
            "pools": {"a100": {"partition": "one", "gres_type": "a100"}},
            "accounting": {"kind": "slurmdbd", "scope": "gpus"},
        } | way
        pools = [{"name": "a100", "gpus": 4}, {"name": "gpu", "gpus": 16}]
        fleet = fleet_spec(site_spec(cluster=spec, pools=pools))
        outside = connect(Settings(state_dir=tmp_path), fleet, lambda: START)
        cluster = outside.clusters["DE"]
        found = [(pool.pool, pool.gpus_total) for pool in await cluster.capacity()]
        assert found == [("a100", 4), ("gpu", 16)]
        assert await outside.accounts["DE"].energy(["unknown"]) == ()


def test_a_kubernetes_site_without_a_context_is_refused_by_name(tmp_path: Path) -> None:
    """The file that is not there is told."""
    spec = {"kind": "kubernetes", "kubeconfig": str(tmp_path / "nowhere")}
    with pytest.raises(Invalid, match=r"site DE: cluster = 'kubernetes'.*nowhere"):
        connect(Settings(state_dir=tmp_path), fleet_spec(site_spec(cluster=spec)), lambda: START)


@pytest.mark.peer
@pytest.mark.usefixtures("gpu_node")
async def test_a_kubernetes_site_is_spoken_to_as_its_spec_says(
    place: Place, tmp_path: Path
) -> None:
    """In the namespace of its context; a pool is all GPUs, or those of the nodes selected."""
    spec = {
        "kind": "kubernetes",
        "kubeconfig": str(place.kubeconfig),
        "pools": {"none": {"node_selector": {"for": "nobody"}}},
    }
    pools = [{"name": "a100", "gpus": 4}, {"name": "none", "gpus": 4}]
    fleet = fleet_spec(site_spec(cluster=spec, pools=pools))
    cluster = connect(Settings(state_dir=tmp_path), fleet, lambda: START).clusters["DE"]
    assert isinstance(cluster, KubernetesCluster)
    found = {pool.pool: pool.gpus_total for pool in await cluster.capacity()}
    await cluster.close()
    assert (found["a100"] >= 4, found["none"]) == (True, 0)


async def test_power_is_measured_by_who_the_spec_names(tmp_path: Path) -> None:
    """On every kind of machine; two pools are one machine to its driver."""
    with served(Exporter("n1", {0: 300.0, 1: 310.0})) as node:
        power = {"kind": "exporters", "urls": [node.url]}
        pools = [{"name": "a", "gpus": 1}, {"name": "b", "gpus": 1}]
        fleet = fleet_spec(site_spec(cluster={"kind": "local", "power": power}, pools=pools))
        cluster = connect(Settings(state_dir=tmp_path), fleet, lambda: START).clusters["DE"]
        reading = await cluster.power()
    assert (reading.kw, reading.is_measured) == (pytest.approx(0.61), True)
    assert reading.source == "exporters"


async def test_the_driver_of_this_machine_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of as many GPUs as the pools have."""
    FakeNvml({"here": dict.fromkeys(range(4), 200.0)}, monkeypatch)
    pools = [{"name": "a", "gpus": 1}, {"name": "b", "gpus": 2}]
    spec = {"kind": "local", "power": {"kind": "nvml"}}
    fleet = fleet_spec(site_spec(cluster=spec, pools=pools))
    cluster = connect(Settings(state_dir=tmp_path), fleet, lambda: START).clusters["DE"]
    assert (await cluster.power()).kw == pytest.approx(0.6)


async def test_who_cannot_be_asked_stops_no_other_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra a reading is modelled, with that reason; every site is connected to."""
    monkeypatch.delitem(sys.modules, "connectors.power.nvml", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    spec = {"kind": "local", "power": {"kind": "nvml"}}
    fleet = fleet_spec(site_spec(cluster=spec), site_spec("FR"))
    clusters = connect(Settings(state_dir=tmp_path), fleet, lambda: START).clusters
    reading = await clusters["DE"].power()
    assert not reading.is_measured
    assert reading.reason.startswith("nvml: to be spoken to with what the extra gridtide[nvml]")
    assert [pool.pool for pool in await clusters["FR"].capacity()] == ["a100"]


async def test_a_local_site_sets_caps_by_the_command_of_its_spec(tmp_path: Path) -> None:
    """On the GPUs of the job."""
    command = tmp_path / "set-cap"
    command.write_text('#!/bin/sh\necho "200.00 was asked: $*"\n')
    command.chmod(0o755)
    spec = {"kind": "local", "power_cap_command": [str(command), "-n"]}
    fleet = fleet_spec(site_spec(cluster=spec))
    cluster = connect(Settings(state_dir=tmp_path), fleet, lambda: START).clusters["DE"]
    await cluster.submit(JobOrder("a", ("sleep", "600"), "a100", 2, power_cap_w=250.0))
    (job,) = await cluster.observe()
    assert job.power_cap_in_force_w == 200.0
    assert job.power_cap_problem == "this machine: was asked: -n set 250 0 1"
    await end_everything(cluster)


async def test_prometheus_and_slurm_are_asked_where_the_spec_says(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody answers there, or nobody counts: the reason names who was asked."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    spec = {"kind": "slurm", "folder": str(tmp_path / "shared")}
    pools = [{"name": "one", "gpus": 4}]
    for power, reason in (
        ({"kind": "prometheus", "url": "http://127.0.0.1:9"}, "prometheus: http://127.0.0.1:9/api"),
        ({"kind": "slurm"}, "slurm: silent: node n1: its power is not known to Slurm"),
    ):
        fleet = fleet_spec(site_spec(cluster=spec | {"power": power}, pools=pools))
        cluster = connect(Settings(state_dir=tmp_path), fleet, lambda: START).clusters["DE"]
        assert (await cluster.power()).reason.startswith(reason)


def test_the_system_clock_is_in_utc() -> None:
    """Aware, and now."""
    assert system_now().tzinfo is UTC
    assert abs(system_now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_an_accelerated_clock_runs_as_much_faster_as_asked() -> None:
    """At 3600 a tenth of a second is six minutes."""
    now = accelerated_now(START, 3600)
    began = time.monotonic()
    time.sleep(0.1)
    hours = (now() - START) / timedelta(hours=1)
    assert 0.09 <= hours <= time.monotonic() - began + 0.05
    with pytest.raises(ValueError, match="factor = 0"):
        accelerated_now(START, 0)
    with pytest.raises(ValueError, match="no time zone"):
        accelerated_now(datetime(2021, 1, 1), 1)  # noqa: DTZ001


def test_a_window_knows_the_instant_of_every_slot() -> None:
    """In quarters of an hour, before and after its ends as well."""
    window = PlanWindow(datetime.fromisoformat("2021-07-05T02:15+02:00"), 15, 8)
    start = datetime(2021, 7, 5, 0, 15, tzinfo=UTC)
    assert window.start == start
    assert window.end == start + timedelta(hours=2)
    inside = start + timedelta(minutes=31)
    assert (window.slot_of(inside), window.slot_not_before(inside)) == (2, 3)
    assert (window.slot_of(start), window.slot_not_before(start)) == (0, 0)
    before = start - timedelta(minutes=1)
    assert (window.slot_of(before), window.slot_not_before(before)) == (-1, 0)


@pytest.mark.parametrize(
    ("start", "minutes", "n_slots", "said"),
    [
        (START + timedelta(minutes=5), 15, 1, "must be a multiple of 15 minutes"),
        (START, 20, 1, "slot_minutes = 20"),
        (START, 15, 0, "n_slots = 0"),
        (START.replace(tzinfo=None), 15, 1, "must carry a time zone"),
    ],
)
def test_windows_that_make_no_sense_are_refused(
    start: datetime, minutes: int, n_slots: int, said: str
) -> None:
    """The value and the limit are named."""
    with pytest.raises(ValueError, match=said):
        PlanWindow(start, minutes, n_slots)


def test_the_next_slot_begins_on_the_grid() -> None:
    """An instant on it is its own."""
    assert slot_start_not_before(START, 60) == START
    assert slot_start_not_before(START + timedelta(seconds=1), 15) == START.replace(minute=15)
