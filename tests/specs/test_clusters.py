"""Clusters as users write them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from scheduler.specs import FleetSpec
from scheduler.specs.clusters import KubernetesClusterSpec, LocalClusterSpec, SlurmClusterSpec
from tests.services.builders import fleet_spec, site_spec

SLURM = {"kind": "slurm", "folder": "/shared/gridtide"}
KUBERNETES = {"kind": "kubernetes"}
REST = {"url": "http://slurm:6820", "user": "gridtide", "token_file": "/run/token"}


def cluster_of(cluster: Any) -> Any:
    """The cluster of a site with a pool called a100."""
    return fleet_spec(site_spec(cluster=cluster)).sites[0].cluster


def test_a_kind_that_needs_nothing_more_may_be_named() -> None:
    """As fleets were written, and are stored, before there were others."""
    assert cluster_of("local") == LocalClusterSpec()
    assert fleet_spec(site_spec()).sites[0].cluster == LocalClusterSpec()


def test_a_slurm_cluster_is_kept_as_written() -> None:
    """Through the JSON that the database holds."""
    fleet = fleet_spec(site_spec(cluster=SLURM | REST | {"pools": {"a100": {"partition": "gpu"}}}))
    cluster = FleetSpec.model_validate(fleet.model_dump(mode="json")).sites[0].cluster
    assert isinstance(cluster, SlurmClusterSpec)
    assert cluster.pools["a100"].partition == "gpu"
    assert cluster.url == "http://slurm:6820"


def test_a_kubernetes_cluster_needs_nothing_but_its_name() -> None:
    """Its account is that of the pod, its pools are all GPUs of all nodes."""
    assert cluster_of("kubernetes") == KubernetesClusterSpec(kind="kubernetes")


PROMETHEUS = {"kind": "prometheus", "url": "http://prometheus:9090"}


@pytest.mark.parametrize(
    ("kind", "power"),
    [
        ({"kind": "local"}, {"kind": "nvml"}),
        (SLURM, {"kind": "slurm", "scope": "gpus"}),
        (KUBERNETES, PROMETHEUS | {"query": 'DCGM_FI_DEV_POWER_USAGE{cluster="oslo"}'}),
        (KUBERNETES, {"kind": "exporters", "urls": ["http://n1:9400/metrics"]}),
    ],
)
def test_who_measures_power_is_said_with_the_cluster(kind: Any, power: Any) -> None:
    """And kept through the JSON that the database holds."""
    fleet = fleet_spec(site_spec(cluster=kind | {"power": power}))
    cluster = FleetSpec.model_validate(fleet.model_dump(mode="json")).sites[0].cluster
    assert cluster.power is not None
    assert cluster.power.kind == power["kind"]


@pytest.mark.parametrize(
    ("cluster", "named"),
    [
        ("mainframe", "mainframe"),
        ("slurm", "folder"),
        (SLURM | {"folder": "relative"}, "folder"),
        (SLURM | {"url": "http://slurm:6820"}, "url, user and token_file go together; see user"),
        (SLURM | REST | {"login_node": "login"}, "must be one of them"),
        (SLURM | {"login_node": "-oProxyCommand=sh"}, "login_node"),
        (SLURM | {"pools": {"h100": {"partition": "gpu"}}}, r"pool 'h100', must be one of \['a100"),
        (KUBERNETES | {"context": ""}, "context"),
        (KUBERNETES | {"pools": {"h100": {}}}, r"pool 'h100', must be one of"),
        (KUBERNETES | {"checkpoint_claim": "a", "checkpoint_path": "/b"}, "must be one of them"),
        (KUBERNETES | {"pools": {"a100": {"tolerations": [{"key": "x", "effect": "No"}]}}}, "No"),
        (SLURM | {"pools": {"a100": {"partition": "gpu", "cpus_per_gpu": 0}}}, "cpus_per_gpu"),
        ({"kind": "local", "power_cap_command": [""]}, "power_cap_command"),
        (KUBERNETES | {"power": {"kind": "nvml"}}, "nvml"),
        (SLURM | {"power": {"kind": "nvml"}}, "nvml"),
        ({"kind": "local", "power": {"kind": "slurm"}}, "slurm"),
        (KUBERNETES | {"power": {"kind": "exporters", "urls": []}}, "urls"),
        (KUBERNETES | {"power": PROMETHEUS | {"url": "prometheus:9090"}}, "url"),
        (KUBERNETES | {"power": PROMETHEUS | {"url": "http://me:secret@prometheus/"}}, "url"),
        (KUBERNETES | {"power": PROMETHEUS | {"stale_after_s": 0}}, "stale_after_s"),
    ],
)
def test_a_cluster_that_makes_no_sense_is_refused(cluster: Any, named: str) -> None:
    """With the field, the value or the limit."""
    with pytest.raises(ValidationError, match=named):
        cluster_of(cluster)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://n1:70000/metrics", "a port must be within [1, 65535]"),
        ("http://n1:94000", "a port must be within [1, 65535]"),
        ("http://n1:0/metrics", "port = 0, must be within [1, 65535]"),
        ("http://n1:metrics", "a port must be within [1, 65535]"),
        ("http://[::1/metrics", "Invalid IPv6 URL"),
    ],
)
def test_an_address_that_no_connection_can_be_made_to_is_refused(url: str, named: str) -> None:
    """Wherever the fleet says one: with the field, the value and the limit."""
    exporters = {"kind": "exporters", "urls": ["http://n0:9400/metrics", url]}
    for cluster, field in (
        (SLURM | REST | {"url": url}, ("url",)),
        (SLURM | {"power": PROMETHEUS | {"url": url}}, ("url",)),
        (KUBERNETES | {"power": exporters}, ("urls", 1)),
    ):
        with pytest.raises(ValidationError) as refusal:
            cluster_of(cluster)
        error = refusal.value.errors()[0]
        assert error["loc"][-len(field) :] == field
        assert repr(url) in error["msg"]
        assert named in error["msg"]


def test_the_last_port_and_none_are_addresses() -> None:
    """As are those of IPv6."""
    urls = ["http://n1:65535/metrics", "https://n1/metrics", "http://[::1]:9400/metrics"]
    cluster = cluster_of(KUBERNETES | {"power": {"kind": "exporters", "urls": urls}})
    assert list(cluster.power.urls) == urls
