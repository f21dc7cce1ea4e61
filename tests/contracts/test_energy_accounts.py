"""Every account of the energy of jobs passes the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.clusters.slurm.accounts import SlurmAccounts
from connectors.clusters.slurm.commands import SlurmCommands
from connectors.clusters.slurm.memory import Memory
from connectors.protocols import EnergyAccounts
from connectors.types import JobOrder
from tests.contracts.energy_accounts import EnergyAccountsContract

START_S, END_S = 1_790_000_000, 1_790_003_600
ACCOUNTS = f"""#!/bin/sh
cat <<END
1|{START_S}|{END_S}|00:00:00|||1|64|n1|gridtide-known-1
1.batch|{START_S}|{END_S}|00:00:00|7200000|energy=7200000|1|64|n1|batch
2|{START_S}|{END_S}|00:00:00|||1|4|n1|gridtide-shared-1
2.batch|{START_S}|{END_S}|00:00:00|7200000|energy=7200000|1|4|n1|batch
END
"""
NODES = """#!/bin/sh
[ "$1" = --version ] && echo slurm 22.05.8 && exit
echo '{"nodes": [{"name": "n1", "state": "idle", "partitions": ["gpu"], "cpus": 64}]}'
"""
AWAY = """#!/bin/sh
echo 'sacct: error: Problem talking to the database: Connection refused' >&2
exit 1
"""


class TestSlurmAccounts(EnergyAccountsContract):
    """By programs in the place of Slurm's, which print what those did."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """The shared folder of a cluster with three jobs that were started."""
        memory = Memory(tmp_path / "shared")
        memory.identity.read()
        (tmp_path / "shared" / "jobs").mkdir()
        for number, key in enumerate(("known", "shared", "running"), start=1):
            job = memory.folder(key)
            job.create(JobOrder(key, ("true",), "pool", 4))
            (job.path / "claim-1").symlink_to(str(number))
            (job.path / "start-1.0").write_text(f"{START_S + 1} n1\n")
            if key != "running":
                (job.path / "end-1.0").write_text(f"{END_S} exited 0\n")
        return tmp_path / "shared"

    @pytest.fixture
    def accounts(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> EnergyAccounts:
        """By commands."""
        return self._speaking_to(ACCOUNTS, folder, tmp_path, monkeypatch)

    @pytest.fixture
    def away(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EnergyAccounts:
        """Slurmdbd does not answer them."""
        return self._speaking_to(AWAY, folder, tmp_path, monkeypatch)

    def _speaking_to(
        self, sacct: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> EnergyAccounts:
        programs = tmp_path / "bin"
        programs.mkdir()
        for name, text in {"sacct": sacct, "sinfo": NODES}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
        return SlurmAccounts("slurm", folder, SlurmCommands())
