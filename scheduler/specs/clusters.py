"""Which cluster runs the jobs of a site, and what has to be known of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from connectors.types import PowerScope
from scheduler.specs.base import MONTH_MINUTES, YEAR_HOURS, Name, Spec, Text

LAST_PORT = 65_535


def _with_an_address(url: str) -> str:
    """Refuse a URL whose host or port no connection can be made to."""
    try:
        port = urlsplit(url).port
    except ValueError as error:
        raise ValueError(f"{url!r}: {error}; a port must be within [1, {LAST_PORT}]") from error
    if port == 0:
        raise ValueError(f"{url!r}: port = 0, must be within [1, {LAST_PORT}]")
    return url


AbsolutePath = Annotated[Text, Field(pattern=r"^/", max_length=4000)]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@\-]*$", max_length=300)]
Url = Annotated[
    Text, Field(pattern=r"^https?://", max_length=2000), AfterValidator(_with_an_address)
]
Word = Annotated[Text, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+@\-]*$", max_length=120)]
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9./_\-]*$", max_length=316)]
LabelValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9._\-]*$", max_length=63)]
Image = Annotated[Text, Field(min_length=1, max_length=1000)]
Amount = Annotated[int, Field(ge=1, le=1_000_000)]


Argument = Annotated[Text, Field(min_length=1, max_length=1000)]
# Without a user and password: the address stands in every reading that it does not give.
PlainUrl = Annotated[
    Text,
    Field(pattern=r"^https?://[^/?@\s]+([/?]\S*)?$", max_length=2000),
    AfterValidator(_with_an_address),
]
Metric = Annotated[str, Field(pattern=r"^[A-Za-z_:][A-Za-z0-9_:]*$", max_length=200)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class PrometheusPowerSpec(Spec):
    """Power of the site's GPUs as a Prometheus server knows it.

    ``query`` selects one series for each of them [W], and none of other sites. ``token_file``
    holds a bearer token and is read before every query. A value older than ``stale_after_s`` is
    none.
    """

    kind: Literal["prometheus"]
    url: PlainUrl
    query: Annotated[Text, Field(min_length=1, max_length=2000)] = "DCGM_FI_DEV_POWER_USAGE"
    token_file: AbsolutePath | None = None
    stale_after_s: Seconds = 120.0


class ExportersPowerSpec(Spec):
    """The same asked of the exporters on the nodes; every node of the pools must be named."""

    kind: Literal["exporters"]
    urls: Annotated[tuple[PlainUrl, ...], Field(min_length=1, max_length=2000)]
    metric: Metric = "DCGM_FI_DEV_POWER_USAGE"
    stale_after_s: Seconds = 120.0


class NvmlPowerSpec(Spec):
    """The driver of the machine of the dispatcher; needs ``gridtide[nvml]``."""

    kind: Literal["nvml"]


class SlurmPowerSpec(Spec):
    """Slurm's own counters; ``scope`` says of what its AcctGatherEnergyType is the power."""

    kind: Literal["slurm"]
    scope: PowerScope = PowerScope.NODES
    stale_after_s: Seconds = 300.0


_ByKind = Field(discriminator="kind")
LocalPowerSpec = Annotated[PrometheusPowerSpec | ExportersPowerSpec | NvmlPowerSpec, _ByKind]
SlurmOrOtherPowerSpec = Annotated[
    PrometheusPowerSpec | ExportersPowerSpec | SlurmPowerSpec, _ByKind
]
RemotePowerSpec = Annotated[PrometheusPowerSpec | ExportersPowerSpec, _ByKind]


class LocalClusterSpec(Spec):
    """Processes on the machine of the dispatcher. Without ``power``, its power is modelled.

    ``power_cap_command`` sets caps on GPUs (``gridtide-power-cap``, by sudo where the dispatcher is
    not root); without it jobs read theirs. It holds for jobs that are started from then on.
    """

    kind: Literal["local"] = "local"
    power_cap_command: Annotated[tuple[Argument, ...], Field(max_length=20)] = ()
    power: LocalPowerSpec | None = None


class SlurmPoolSpec(Spec):
    """What a pool of the site is on Slurm.

    Without ``gres_type`` every GPU of the partition belongs to it. CPUs and memory are asked for
    with each GPU; where they are absent the defaults of the partition hold. Orders for no GPU, as
    those that bring data, run in ``partition_without_gpus`` where it is given.
    """

    partition: Word
    gres_type: Word | None = None
    features: Annotated[tuple[Word, ...], Field(max_length=20)] = ()
    account: Word | None = None
    qos: Word | None = None
    reservation: Word | None = None
    cpus_per_gpu: Amount | None = None
    memory_gb_per_gpu: Amount | None = None
    partition_without_gpus: Word | None = None


class SlurmAccountingSpec(Spec):
    """Slurm's accounts; ``scope`` says of what its AcctGatherEnergyType counts the energy."""

    kind: Literal["slurmdbd"]
    scope: PowerScope = PowerScope.NODES


class SlurmClusterSpec(Spec):
    """A Slurm cluster: by slurmrestd where ``url`` is given, else by its commands.

    ``folder`` lies on a file system that dispatcher and nodes see under the same path. The commands
    run here, or by ssh on ``login_node``. ``token_file`` holds the JWT of ``user`` and is read
    before every request. A pool of the site that is not in ``pools`` is the partition of its name;
    ``accounts`` are by tenant. What a node wrote may take ``settle_seconds`` to be seen here, and a
    run counts as lost after ``lost_after_seconds`` without a sign of life; both suit NFS. With
    ``accounting``, slurmdbd is asked what energy jobs used.
    """

    kind: Literal["slurm"]
    folder: AbsolutePath
    url: Url | None = None
    user: Word | None = None
    token_file: AbsolutePath | None = None
    login_node: Host | None = None
    pools: dict[Name, SlurmPoolSpec] = Field(default_factory=dict)
    accounts: dict[Name, Word] = Field(default_factory=dict)
    time_limit_minutes: Annotated[int, Field(ge=1, le=MONTH_MINUTES)] | None = None
    settle_seconds: Annotated[float, Field(ge=1, le=3600)] = 90.0
    lost_after_seconds: Annotated[float, Field(ge=10, le=3600)] = 120.0
    power: SlurmOrOtherPowerSpec | None = None
    accounting: SlurmAccountingSpec | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.url is not None and self.login_node is not None:
            raise ValueError(
                f"cluster: url = {self.url!r} and login_node = {self.login_node!r},"
                " must be one of them"
            )
        for name in ("user", "token_file"):
            if (getattr(self, name) is None) != (self.url is None):
                raise ValueError(f"cluster: url, user and token_file go together; see {name}")
        return self


class TolerationSpec(Spec):
    """A taint that pods of a pool bear; without ``value`` every one of ``key``."""

    key: Label
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class KubernetesPoolSpec(Spec):
    """What a pool of the site is on Kubernetes: what matching nodes have of ``resource``.

    Where ``grows``, nodes come with the demand, and GPUs of the site's pool that are not there yet
    count as available.
    """

    resource: Label = "nvidia.com/gpu"
    node_selector: dict[Label, LabelValue] = Field(default_factory=dict)
    tolerations: Annotated[tuple[TolerationSpec, ...], Field(max_length=50)] = ()
    grows: bool = False
    gpus_per_node: Amount | None = None
    priority_class: Word | None = None
    runtime_class: Word | None = None
    image: Image | None = None


class KubernetesClusterSpec(Spec):
    """A namespace of a Kubernetes cluster.

    Without ``kubeconfig`` and ``context``: the account of the pod the dispatcher runs in, else the
    file of its user. Checkpoints are kept in a claim or at a path of the nodes that all of them
    share; without either, jobs keep theirs elsewhere. ``queue`` and ``queues`` (by tenant) are
    LocalQueues of Kueue. A pool of the site that is not in ``pools`` is all nodes' NVIDIA GPUs.
    """

    kind: Literal["kubernetes"]
    kubeconfig: AbsolutePath | None = None
    context: Annotated[Text, Field(min_length=1, max_length=1000)] | None = None
    namespace: Word | None = None
    checkpoint_claim: Word | None = None
    checkpoint_path: AbsolutePath | None = None
    counts_others: bool = True
    queue: Word | None = None
    queues: dict[Name, Word] = Field(default_factory=dict)
    headless_service: Word | None = None
    service_account: Word | None = None
    image_pull_secrets: Annotated[tuple[Word, ...], Field(max_length=20)] = ()
    image: Image | None = None  # for jobs that name none
    keep_finished_hours: Annotated[float, Field(gt=0, le=YEAR_HOURS)] | None = 24.0 * 14
    power: RemotePowerSpec | None = None
    pools: dict[Name, KubernetesPoolSpec] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.checkpoint_claim is not None and self.checkpoint_path is not None:
            raise ValueError(
                f"cluster: checkpoint_claim = {self.checkpoint_claim!r} and checkpoint_path ="
                f" {self.checkpoint_path!r}, must be one of them"
            )
        return self


def _by_kind(cluster: Any) -> Any:
    return {"kind": cluster} if isinstance(cluster, str) else cluster


ClusterSpec = Annotated[
    LocalClusterSpec | SlurmClusterSpec | KubernetesClusterSpec,
    Field(discriminator="kind"),
    BeforeValidator(_by_kind),
]
"""A cluster, or the name of a kind that needs nothing more."""
