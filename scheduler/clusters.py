"""From what the fleet says of a site's cluster to the connection that runs its jobs.

With ``scheduler.main``, ``streams``, ``signal_sources`` and ``site_devices`` the only module that
names concrete connectors.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from connectors.clusters.kubernetes.config import (
    CheckpointVolume,
    KubernetesConfig,
    KubernetesPool,
    Toleration,
)
from connectors.clusters.local.cluster import LocalCluster, LocalPool
from connectors.clusters.slurm.accounts import SlurmAccounts
from connectors.clusters.slurm.cluster import SlurmCluster
from connectors.clusters.slurm.commands import SlurmCommands
from connectors.clusters.slurm.config import SlurmConfig, SlurmPool
from connectors.clusters.slurm.energy import SlurmCounters
from connectors.clusters.slurm.rest import SlurmRest, read_token
from connectors.clusters.slurm.transport import SlurmTransport
from connectors.errors import Rejected
from connectors.power.exporters import ExportersPower
from connectors.power.missing import MissingPower
from connectors.power.prometheus import PrometheusPower
from connectors.protocols import Cluster, EnergyAccounts, PowerSource
from scheduler.services.errors import Invalid, Refusal
from scheduler.settings import Settings
from scheduler.specs.clusters import (
    ExportersPowerSpec,
    KubernetesClusterSpec,
    KubernetesPoolSpec,
    LocalClusterSpec,
    NvmlPowerSpec,
    PrometheusPowerSpec,
    SlurmClusterSpec,
    SlurmPoolSpec,
    SlurmPowerSpec,
)
from scheduler.specs.fleet import PoolSpec, SiteSpec


def connect_cluster(settings: Settings, site: SiteSpec) -> Cluster:
    """Make the connection to the cluster of ``site``.

    Raises
    ------
    Invalid
        It cannot be spoken to from here, whoever is at the other end.
    """
    match site.cluster:
        case LocalClusterSpec() as spec:
            return _local(settings, site, spec)
        case SlurmClusterSpec() as spec:
            return _slurm(site, spec)
        case KubernetesClusterSpec() as spec:
            return _kubernetes(site, spec)


def connect_accounts(site: SiteSpec) -> EnergyAccounts | None:
    """Make the connection to who keeps account of the energy of jobs; ``None`` where nobody does.

    Raises
    ------
    Invalid
        It cannot be spoken to from here.
    """
    spec = site.cluster
    if not isinstance(spec, SlurmClusterSpec) or spec.accounting is None:
        return None
    transport = _slurm_transport(site, spec)
    return SlurmAccounts(site.name, Path(spec.folder), transport, spec.accounting.scope)


def refuse_power(site: SiteSpec) -> Refusal | None:
    """Say why nobody here can ask who is to measure ``site``, which runs jobs all the same."""
    if not isinstance(site.cluster.power, NvmlPowerSpec):
        return None
    try:  # its library is an extra
        import connectors.power.nvml  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        limit = f"spoken to with what the extra gridtide[nvml] installs ({error})"
        return Refusal(f"site {site.name}", "cluster.power", "nvml", limit)
    return None


def _local(settings: Settings, site: SiteSpec, spec: LocalClusterSpec) -> LocalCluster:
    pools = [
        LocalPool(
            pool.name,
            pool.gpus,
            kw_per_gpu=_kw_per_gpu(pool),
            idle_kw_per_gpu=pool.idle_kw_per_gpu,
        )
        for pool in site.pools
    ]
    folder = settings.state_dir / "clusters" / site.name
    source = _nvml(site) if isinstance(spec.power, NvmlPowerSpec) else _asked_by_http(spec.power)
    return LocalCluster(
        site.name,
        folder,
        pools,
        power_cap_command=spec.power_cap_command,
        power_source=source,
    )


def _slurm(site: SiteSpec, spec: SlurmClusterSpec) -> SlurmCluster:
    def pool_of(pool: PoolSpec) -> SlurmPool:
        on = spec.pools.get(pool.name, SlurmPoolSpec(partition=pool.name))
        return SlurmPool(
            name=pool.name,
            partition=on.partition,
            gres_type=on.gres_type,
            features=on.features,
            account=on.account,
            qos=on.qos,
            reservation=on.reservation,
            cpus_per_gpu=on.cpus_per_gpu,
            partition_without_gpus=on.partition_without_gpus,
            memory_mb_per_gpu=on.memory_gb_per_gpu and on.memory_gb_per_gpu * 1024,
            kw_per_gpu=_kw_per_gpu(pool),
            idle_kw_per_gpu=pool.idle_kw_per_gpu,
        )

    pools = tuple(map(pool_of, site.pools))
    config = SlurmConfig(
        Path(spec.folder),
        pools,
        spec.accounts,
        spec.time_limit_minutes,
        spec.settle_seconds,
        spec.lost_after_seconds,
    )
    transport = _slurm_transport(site, spec)
    source: PowerSource | None
    if isinstance(spec.power, SlurmPowerSpec):
        source = SlurmCounters(transport, pools, spec.power.scope, spec.power.stale_after_s)
    else:
        source = _asked_by_http(spec.power)
    return SlurmCluster(site.name, config, transport, source)


def _slurm_transport(site: SiteSpec, spec: SlurmClusterSpec) -> SlurmTransport:
    if spec.url is None or spec.user is None or spec.token_file is None:
        program = "sbatch" if spec.login_node is None else "ssh"
        if shutil.which(program) is None:
            raise _unreachable(site, f"reached by url, or from where {program} is installed")
        return SlurmCommands(spec.login_node)
    return SlurmRest(spec.url, spec.user, partial(read_token, Path(spec.token_file)))


def _kubernetes(site: SiteSpec, spec: KubernetesClusterSpec) -> Cluster:
    try:  # its client library is an extra
        from connectors.clusters.kubernetes.cluster import KubernetesCluster  # noqa: PLC0415
        from connectors.clusters.kubernetes.credentials import find_context  # noqa: PLC0415
    except ModuleNotFoundError as error:
        limit = f"spoken to with what the extra gridtide[kubernetes] installs ({error})"
        raise _unreachable(site, limit) from error
    config = KubernetesConfig(
        pools=tuple(_kubernetes_pool(pool, spec) for pool in site.pools),
        checkpoints=_checkpoints(spec),
        kubeconfig=None if spec.kubeconfig is None else Path(spec.kubeconfig),
        context=spec.context,
        namespace=spec.namespace,
        counts_others=spec.counts_others,
        queue=spec.queue,
        queues=spec.queues,
        headless_service=spec.headless_service,
        service_account=spec.service_account,
        image_pull_secrets=spec.image_pull_secrets,
        keep_finished_hours=spec.keep_finished_hours,
    )
    try:
        find_context(config)
    except Rejected as error:
        raise _unreachable(site, f"one there is a context for ({error})") from error
    return KubernetesCluster(site.name, config, _asked_by_http(spec.power))


def _kubernetes_pool(pool: PoolSpec, spec: KubernetesClusterSpec) -> KubernetesPool:
    on = spec.pools.get(pool.name, KubernetesPoolSpec())
    return KubernetesPool(
        name=pool.name,
        resource=on.resource,
        node_selector=on.node_selector,
        tolerations=tuple(
            Toleration(taint.key, taint.value, taint.effect) for taint in on.tolerations
        ),
        gpus=pool.gpus if on.grows else None,
        grows=on.grows,
        gpus_per_node=on.gpus_per_node,
        priority_class=on.priority_class,
        runtime_class=on.runtime_class,
        image=on.image or spec.image,
        kw_per_gpu=_kw_per_gpu(pool),
        idle_kw_per_gpu=pool.idle_kw_per_gpu,
    )


def _checkpoints(spec: KubernetesClusterSpec) -> CheckpointVolume | None:
    if spec.checkpoint_claim is None and spec.checkpoint_path is None:
        return None
    return CheckpointVolume(spec.checkpoint_claim, spec.checkpoint_path)


def _asked_by_http(spec: PrometheusPowerSpec | ExportersPowerSpec | None) -> PowerSource | None:
    match spec:
        case PrometheusPowerSpec():
            token_file = None if spec.token_file is None else Path(spec.token_file)
            return PrometheusPower(spec.url, spec.query, token_file, spec.stale_after_s)
        case ExportersPowerSpec():
            return ExportersPower(spec.urls, spec.metric, spec.stale_after_s)
        case None:
            return None


def _nvml(site: SiteSpec) -> PowerSource:
    refusal = refuse_power(site)
    if refusal is not None:
        return MissingPower("nvml", f"to be {refusal.limit}")
    from connectors.power.nvml import NvmlPower  # noqa: PLC0415

    return NvmlPower(sum(pool.gpus for pool in site.pools))


def _kw_per_gpu(pool: PoolSpec) -> float:
    return max(pool.kw_per_gpu, pool.idle_kw_per_gpu)


def _unreachable(site: SiteSpec, limit: str) -> Invalid:
    return Invalid(Refusal(f"site {site.name}", "cluster", site.cluster.kind, limit))
