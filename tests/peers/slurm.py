"""A real Slurm on this machine: controller, nodes with GPUs that are none, and slurmrestd.

Everything listens on loopback and lives in one folder. The GPUs are copies of ``/dev/zero`` under
other names, which is all that Slurm's bookkeeping of GPUs needs.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.peers.clocks import program_clock
from tests.peers.processes import (
    end,
    free_ports,
    listens,
    lives,
    parent_of,
    peers,
    pid_in,
    pids_where,
    start_daemon,
    wait_until,
)

_PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "slurmrestd", "setpriv")
_COMMANDS = ("squeue", "sinfo", "scontrol", "scancel", "sacct", "sacctmgr", "slurmdbd")
_ANSWER_S = 5.0
_SAVED_WITHIN_S = 6.0  # slurmctld writes down what it knows five seconds after a change
_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmUser={user}
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key={folder}/state/jwt.key
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MpiDefault=none
ReturnToService=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
SlurmctldTimeout=10
SlurmdTimeout={node_timeout_s}
InactiveLimit=0
KillWait=3
MinJobAge=300
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=n[1-{n_nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{node_ports}] CPUs=64 \
Sockets=1 CoresPerSocket=64 ThreadsPerCore=1 RealMemory=8000 Gres=gpu:a100:{gpus} State=UNKNOWN
PartitionName=gpu Nodes=n[1-{n_nodes}] Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=one Nodes=n1 MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=n[1-{n_nodes}] MaxTime=INFINITE State=UP PriorityTier=10
PartitionName=short Nodes=n{n_nodes} MaxTime=1 State=UP PriorityTier=1
"""
_NO_ACCOUNTS = """JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
"""
_GRES = """AutoDetect=off
NodeName=n[1-{n_nodes}] Name=gpu Type=a100 File={folder}/gpu/nvidia[0-{last}]
"""


_INSIDE = """#!/bin/sh
exec unshare --mount sh -c 'root=$1; shift
for at in proc dev tmp; do mount --rbind "/$at" "$root/$at" || exit 1; done
if [ -d {counters} ]; then
    mkdir -p "$root/sys/cray/pm_counters"
    mount --bind {counters} "$root/sys/cray/pm_counters" || exit 1
fi
PATH=/usr/sbin:/usr/bin:/sbin:/bin exec chroot "$root" "$@"' sh {root} "$@"
"""


def current_root() -> Path | None:
    """Return where a current Slurm was installed apart; ``None`` where none was."""
    root = peers() / "slurm-trixie"
    return root if (root / ".complete").exists() else None


def why_not() -> str | None:
    """Say why no Slurm can be started here; ``None`` where one can."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"needs a real Slurm, missing here: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "needs a real Slurm, whose devices only root can make"
    return None


@dataclass(frozen=True, slots=True)
class Slurm:
    """One that runs; ``root`` is where it is installed, if that is apart.

    ``clock_ahead_s``: how far the clock of all its machines is ahead of ours.
    """

    folder: Path
    rest_url: str
    nodes: tuple[str, ...]
    root: Path | None = None
    keeps_accounts: bool = False
    clock_ahead_s: float = 0.0

    @property
    def conf(self) -> Path:
        """Its configuration, for ``SLURM_CONF``."""
        return self.folder / "slurm.conf"

    def run(self, *command: str) -> str:
        """Run one of its commands."""
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            env=self.environment,
        )
        return done.stdout.strip()

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which its commands are found, and find it."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return os.environ | {"SLURM_CONF": str(self.conf), "PATH": path}

    @property
    def clock(self) -> dict[str, str]:
        """Variables by which its daemons and jobs have its clock."""
        return program_clock(self.clock_ahead_s) if self.clock_ahead_s else {}

    def token(self, lifespan_s: int = 3600) -> str:
        """Make a token for slurmrestd."""
        said = self.run("scontrol", "token", "username=root", f"lifespan={lifespan_s}")
        return said.split("=", 1)[1]

    def start_controller(self) -> None:
        """Start slurmctld, at first or again."""
        self._start("slurmctld", "-f", str(self.conf))
        wait_until(self._answers, "slurmctld answers")

    def start_node(self, node: str) -> None:
        """Start the slurmd of one node, at first or again."""
        self._start("slurmd", "-N", node, "-f", str(self.conf))

    @property
    def rest_port(self) -> int:
        """Where slurmrestd listens."""
        return int(self.rest_url.rpartition(":")[2])

    def start_rest(self) -> None:
        """Start slurmrestd, at first or again; it must not be root."""
        port = self.rest_port
        old = ",".join(f"openapi/v0.0.{dialect}" for dialect in (37, 38))
        plugins = old if self.root is None else "openapi/slurmctld"
        start_daemon(
            [
                *([] if self.root is None else [str(self.folder / "bin" / "inside")]),
                *("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"),
                *("slurmrestd", "-a", "rest_auth/jwt", "-s"),
                f"{plugins},openapi/slurmdbd" if self.keeps_accounts else plugins,
                f"127.0.0.1:{port}",
            ],
            self.folder / "slurmrestd.pid",
            self.folder / "log" / "slurmrestd.log",
            self.environment | self.clock | {"SLURM_JWT": "daemon"},
        )
        wait_until(lambda: listens(port), "slurmrestd listens")

    def kill(self, daemon: str) -> None:
        """End a daemon as a crash would, unless it has crashed by itself."""
        pid = self.pid_of(daemon)
        assert pid is not None
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not lives(pid), f"{daemon} is gone")

    def lose_node(self, node: str) -> None:
        """End a node as the loss of its power does: its slurmd, and all that its jobs run."""
        self.kill(f"slurmd-{node}")
        marks = {f"SLURMD_NODENAME={node}".encode(), f"SLURM_CONF={self.conf}".encode()}
        while found := pids_where("environ", lambda said: marks <= set(said.split(b"\0"))):
            for pid in found:
                for one in (_step_of(pid), pid):
                    with suppress(ProcessLookupError):
                        os.kill(one, signal.SIGKILL)

    def operate(self) -> None:
        """Do what an operator does after crashes of slurmctld, if it answers.

        Has the nodes tell what they run, and resumes those that were drained because the number of
        one of their jobs was given again.
        """
        with suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
            self.run("scontrol", "reconfigure")
            said = self.run("sinfo", "--noheader", "--Node", "--format=%N %E")
            drained = {line.split()[0] for line in said.splitlines() if "Duplicate jobid" in line}
            for node in drained:
                self.run("scontrol", "update", f"nodename={node}", "state=resume")

    def wait_until_saved(self) -> None:
        """Wait until slurmctld would not forget a change if it crashed."""
        time.sleep(_SAVED_WITHIN_S)

    def pid_of(self, daemon: str) -> int | None:
        """Return the pid of ``slurmctld``, ``slurmd-n1``, ``slurmrestd`` and so on."""
        return pid_in(self.folder / f"{daemon}.pid")

    def wait_until_idle(self) -> None:
        """Wait until every node is there and none has a job."""
        wait_until(lambda: self._states() == {"idle"}, "every node of Slurm is idle", 60.0)

    def stop(self) -> None:
        """End all jobs, then all daemons."""
        try:
            self.run("scancel", "--user=root")
            wait_until(lambda: self.run("squeue", "--noheader") == "", "no job is left")
        finally:
            self.end_daemons()

    def end_daemons(self) -> None:
        """End all daemons that were started, and remove the folder."""
        names = ["slurmrestd", "slurmctld", *(f"slurmd-{node}" for node in self.nodes)]
        end(self.pid_of(name) for name in (*names, "slurmdbd", "mariadbd"))
        end([pid_in(self.folder / "munge" / "pid")])
        shutil.rmtree(self.folder)

    def _start(self, *command: str) -> None:
        environment = self.environment | self.clock
        subprocess.run(command, check=True, env=environment, capture_output=True, timeout=30)

    def _answers(self) -> bool:
        try:
            self.run("scontrol", "ping")
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False
        return True

    def _states(self) -> set[str]:
        return set(self.run("sinfo", "--noheader", "--Node", "--format=%t").split())


def start(
    n_nodes: int = 4,
    gpus_per_node: int = 4,
    root: Path | None = None,
    node_timeout_s: int = 60,
    more_conf: str = "",
    start_accounts: Callable[[Slurm], str] | None = None,
    clock_ahead_s: float = 0.0,
) -> Slurm:
    """Start all of it in a folder of its own; ``root`` is where it is installed, if apart.

    A node that is silent for ``node_timeout_s`` is down. What slurmctld forgot in a crash it learns
    from a node within seven times as long. ``more_conf`` is added to slurm.conf.
    ``start_accounts`` starts what the controller keeps its accounts in, and says so in its words.
    ``clock_ahead_s`` is how far its clock is ahead of ours, on every machine and in every job.
    """
    nodes = tuple(f"n{number}" for number in range(1, n_nodes + 1))
    folder = Path(tempfile.mkdtemp(prefix="gridtide-slurm-"))
    folder.chmod(0o755)  # slurmrestd is not root
    for name in ("state", "log", "gpu", "munge", *(f"spool/{node}" for node in nodes)):
        (folder / name).mkdir(parents=True)
    for index in range(gpus_per_node):
        os.mknod(folder / "gpu" / f"nvidia{index}", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    _write_key(folder / "state" / "jwt.key", 32)
    ctld_port, rest_port, *node_ports = free_ports(2 + n_nodes)
    url = f"http://127.0.0.1:{rest_port}"
    has_accounts = start_accounts is not None
    slurm = Slurm(folder, url, nodes, root, has_accounts, clock_ahead_s)
    if root is not None:
        _write_shims(folder / "bin", root)
        (folder / "cgroup.conf").write_text("CgroupPlugin=disabled\nIgnoreSystemd=yes\n")
    _start_munge(folder / "munge", slurm.environment | slurm.clock)
    accounts = _NO_ACCOUNTS if start_accounts is None else start_accounts(slurm)
    slurm.conf.write_text(
        _CONF.format(
            host=socket.gethostname().split(".")[0],
            folder=folder,
            user="root",
            ctld_port=ctld_port,
            node_ports=",".join(map(str, node_ports)),
            n_nodes=n_nodes,
            gpus=gpus_per_node,
            node_timeout_s=node_timeout_s,
        )
        + accounts
        + more_conf
        + _clock_of_jobs(slurm)
    )
    (folder / "gres.conf").write_text(
        _GRES.format(folder=folder, n_nodes=n_nodes, last=gpus_per_node - 1)
    )
    slurm.start_controller()
    for node in nodes:
        slurm.start_node(node)
    slurm.start_rest()
    slurm.wait_until_idle()
    return slurm


def _clock_of_jobs(slurm: Slurm) -> str:
    """Have jobs started with the clock of their node, whose variables Slurm does not pass on."""
    if not slurm.clock:
        return ""
    prolog = slurm.folder / "clock.sh"
    lines = [f"echo 'export {name}={value}'" for name, value in slurm.clock.items()]
    prolog.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    prolog.chmod(0o755)
    return f"TaskProlog={prolog}\n"


def _step_of(pid: int) -> int:
    """Return the slurmstepd that is the parent of a process, else the process."""
    try:
        parent = parent_of(pid)
        is_step = Path(f"/proc/{parent}/cmdline").read_bytes().startswith(b"slurmstepd")
    except FileNotFoundError:
        return pid
    return parent if is_step else pid


def _write_key(path: Path, size: int) -> None:
    path.write_bytes(os.urandom(size))
    path.chmod(0o600)


def _write_shims(folder: Path, root: Path) -> None:
    """Make what is installed apart look as if it were installed here."""
    folder.mkdir()
    inside = folder / "inside"
    inside.write_text(_INSIDE.format(root=root, counters=folder.parent / "pm_counters"))
    for name in (*_PROGRAMS, *_COMMANDS):
        if name != "setpriv":
            (folder / name).write_text(f'#!/bin/sh\nexec {inside} {name} "$@"\n')
    for shim in folder.iterdir():
        shim.chmod(0o755)


def _start_munge(folder: Path, environment: Mapping[str, str]) -> None:
    folder.chmod(0o755)
    _write_key(folder / "key", 128)
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
    options = [f"--{name}={folder / file}" for name, file in files.items()]
    command = ["munged", "--force", *options, f"--seed-file={folder / 'seed'}"]
    subprocess.run(command, check=True, capture_output=True, timeout=30, env=environment)
