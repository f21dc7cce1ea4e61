"""The accounts of a real Slurm: slurmdbd on a MariaDB, and a counter of the energy of its nodes.

All of it is in the folder of the Slurm it belongs to, and listens on loopback. The counter is what
``acct_gather_energy/pm_counters`` reads of a Cray: a file of joules, which a test writes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

from tests.peers.processes import end, free_ports, listens, start_daemon, wait_until
from tests.peers.slurm import Slurm, current_root

_DATABASE = """
CREATE DATABASE slurm;
CREATE USER slurm@'127.0.0.1' IDENTIFIED BY 'slurm';
GRANT ALL ON slurm.* TO slurm@'127.0.0.1';
"""
_DBD_CONF = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key={folder}/state/jwt.key
CommunicationParameters=NoInAddrAny
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""
_CONF = """AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge/socket
AccountingStorageTRES=gres/gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1,energy=1
AcctGatherEnergyType=acct_gather_energy/pm_counters
PrologFlags=Contain
"""
_UP_WITHIN_S = 240.0  # a new database writes a lot, and other tests run beside it
_USED_BEFORE_J = 1_000_000  # a counter that stands at 0 is none to the plugin


def accounts_root() -> Path | None:
    """Return where a Slurm was installed with slurmdbd; ``None`` where none was."""
    root = current_root()
    return root if root is not None and (root / ".accounting").exists() else None


def start_accounts(slurm: Slurm) -> str:
    """Start a database and slurmdbd; return what ``slurm.conf`` says of them.

    What was started is ended again where a part of it does not come up.
    """
    try:
        return _start_accounts(slurm)
    except BaseException:
        slurm.end_daemons()
        raise


def _start_accounts(slurm: Slurm) -> str:
    folder = slurm.folder
    database_port, port = free_ports(2)
    (folder / "pm_counters").mkdir()
    write_counter(slurm, _USED_BEFORE_J)
    _start_database(slurm, database_port)
    conf = folder / "slurmdbd.conf"
    host = socket.gethostname().split(".")[0]
    conf.write_text(
        _DBD_CONF.format(folder=folder, host=host, port=port, database_port=database_port)
    )
    conf.chmod(0o600)
    start_slurmdbd(slurm)
    return _CONF.format(folder=folder, port=port)


def start_slurmdbd(slurm: Slurm) -> None:
    """Start slurmdbd, at first or again."""
    port = _port_in(slurm.folder / "slurmdbd.conf")
    here = slurm.environment | {"SLURM_CONF": str(slurm.folder / "slurmdbd.conf")}
    subprocess.run(["slurmdbd"], check=True, env=here, capture_output=True, timeout=30)
    wait_until(lambda: listens(port), "slurmdbd listens", _UP_WITHIN_S)


def stop_slurmdbd(slurm: Slurm) -> None:
    """End slurmdbd; the controller keeps what it cannot tell."""
    end([slurm.pid_of("slurmdbd")])


def write_counter(slurm: Slurm, joules: int) -> None:
    """Set what every node has used since it was switched on [J]."""
    at_us = time.time_ns() // 1000
    for name, unit, value in (("energy", "J", joules), ("power", "W", 100)):
        file = slurm.folder / "pm_counters" / name
        file.with_suffix(".new").write_text(f"{value} {unit} {at_us} us\n")
        file.with_suffix(".new").rename(file)


def keep_energy(slurm: Slurm, job_id: int | None, joules: int) -> None:
    """Have the database keep so much energy of every step of a job, as if a plugin had told it."""
    told = f"tres_usage_in_tot='3={joules}', tres_usage_in_min='3={joules}'"
    told += f", tres_usage_out_tot='3={joules}', consumed_energy={joules}"
    of_job = f"job_db_inx IN (SELECT job_db_inx FROM test_job_table WHERE id_job={job_id})"  # noqa: S608
    _ask(slurm, "slurm", f"UPDATE test_step_table SET {told} WHERE {of_job}")  # noqa: S608


def _start_database(slurm: Slurm, port: int) -> None:
    folder = slurm.folder / "database"
    folder.mkdir()
    data = f"--datadir={folder}/data"
    subprocess.run(
        [
            *(_inside(slurm), "mariadb-install-db", "--no-defaults", "--user=root", data),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
            *("--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"),
        ],
        check=True,
        capture_output=True,
        env=slurm.environment,
        timeout=_UP_WITHIN_S,
    )
    start_daemon(
        [
            *(_inside(slurm), "mariadbd", "--no-defaults", "--user=root", data),
            *(f"--socket={folder}/socket", "--bind-address=127.0.0.1", f"--port={port}"),
            *("--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"),
        ],
        slurm.folder / "mariadbd.pid",
        slurm.folder / "log" / "mariadbd.log",
        os.environ,
    )
    wait_until(lambda: listens(port), "MariaDB listens", _UP_WITHIN_S)
    _ask(slurm, "mysql", _DATABASE)


def _ask(slurm: Slurm, database: str, statement: str) -> None:
    """Run a statement as the database's root."""
    socket_option = f"--socket={slurm.folder}/database/socket"
    subprocess.run(
        [_inside(slurm), "mariadb", "--no-defaults", socket_option, database, "-e", statement],
        check=True,
        capture_output=True,
        env=slurm.environment,
        timeout=_UP_WITHIN_S,
    )


def _inside(slurm: Slurm) -> str:
    return str(slurm.folder / "bin" / "inside")


def _port_in(conf: Path) -> int:
    lines = conf.read_text().splitlines()
    return int(next(line for line in lines if line.startswith("DbdPort=")).partition("=")[2])
