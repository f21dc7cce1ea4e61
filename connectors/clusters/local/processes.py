"""The process table. A process is known by its number AND the tick it started at, never by number.

Numbers are given again; a number with a start tick and the boot it belongs to is not.
"""

from __future__ import annotations

import ctypes
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_OVER = frozenset("ZXx")  # zombie or dead: it runs no more, whoever has yet to collect it
_STOPPED = frozenset("Tt")
_WAITS_IN_KERNEL = "D"
_EXITING = 0x4  # PF_EXITING among a process's flags
_PR_SET_CHILD_SUBREAPER = 36
_STOP_BIT = 1 << (signal.SIGSTOP - 1)

# What a command needs to run. Nothing else of the scheduler's environment, which may hold secrets,
# reaches a job or its supervisor: a job can read the environment of any process of its user.
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "SHELL", "TMPDIR", "TZ", "USER")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process of one boot of the machine."""

    pid: int
    start_ticks: int  # clock ticks after boot
    boot_id: str


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A line of the process table."""

    pid: int
    state: str
    group: int
    flags: int
    start_ticks: int

    @property
    def is_over(self) -> bool:
        """Whether it has ended, collected or not."""
        return self.state in _OVER

    @property
    def is_exiting(self) -> bool:
        """Whether it is on its way out."""
        return bool(self.flags & _EXITING)


def plain_environment() -> dict[str, str]:
    """Return what of this process's environment others may see."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def boot_id() -> str:
    """Name of the current boot of this machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> ProcessIdentity:
    """Return who ``pid`` is: this process, or a child of it that it has not collected."""
    status = _status(pid)
    if status is None:
        raise OSError(f"/proc does not list process {pid}: is it mounted?")
    return ProcessIdentity(status.pid, status.start_ticks, boot_id())


def find(identity: ProcessIdentity) -> ProcessStatus | None:
    """Return the process as it is now, or None where it has ended or the machine rebooted."""
    status = _status(identity.pid)
    if status is None or status.is_over or status.start_ticks != identity.start_ticks:
        return None
    return status if identity.boot_id == boot_id() else None


def is_child(identity: ProcessIdentity) -> bool:
    """Whether it is a child of this process, ended or not, that was not collected."""
    try:
        os.waitid(os.P_PID, identity.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    status = _status(identity.pid)
    is_same = status is not None and status.start_ticks == identity.start_ticks
    return is_same and identity.boot_id == boot_id()


def become_subreaper() -> None:
    """Become the parent of what children of this process leave behind when they end (prctl(2))."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")


def is_held(identity: ProcessIdentity) -> bool:
    """Whether the process lives and will not run on, nor end by itself, before it is continued.

    That is one that is stopped; and one that waits in the kernel and has been told to stop, which
    it does before it runs on. A shell that starts a program waits so for it, and for as long as the
    group is stopped where the stop came just then.
    """
    status = find(identity)
    if status is None:
        return False
    if status.state in _STOPPED:
        return True
    is_waiting = status.state == _WAITS_IN_KERNEL and not status.is_exiting
    return is_waiting and _is_told_to_stop(identity.pid)


def group_lives(leader: ProcessIdentity) -> bool:
    """Whether any process of the group that ``leader`` founded still runs.

    The kernel gives no group's number to a new process while the group has a member, so a process
    that has the leader's number but not its start tick proves that the group is gone.
    """
    return bool(_members(leader))


def signal_group(leader: ProcessIdentity, number: signal.Signals) -> None:
    """Send ``number`` to every process of the group that ``leader`` founded, if any is left."""
    if _members(leader):
        try:
            os.killpg(leader.pid, number)
        except ProcessLookupError:
            return  # the last one ended in between, which is what a signal to it may be for


def signal_process(identity: ProcessIdentity, number: signal.Signals) -> None:
    """Send ``number`` to exactly this process; nothing happens where it has ended."""
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    try:
        # The handle pins the process, so what is checked is what is signalled.
        if find(identity) is not None:
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _members(leader: ProcessIdentity) -> list[ProcessStatus]:
    first = _status(leader.pid)
    is_reused = first is not None and first.start_ticks != leader.start_ticks
    if is_reused or leader.boot_id != boot_id():
        return []
    table = (_status(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [
        status
        for status in table
        if status is not None
        and status.group == leader.pid
        and status.start_ticks >= leader.start_ticks
        and not status.is_over
    ]


def _status(pid: int) -> ProcessStatus | None:
    try:
        line = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # "pid (name) state ppid pgrp ...": the name may hold spaces and brackets, so cut after it.
    fields = line[line.rindex(")") + 2 :].split()
    return ProcessStatus(pid, fields[0], int(fields[2]), int(fields[6]), int(fields[19]))


def _is_told_to_stop(pid: int) -> bool:
    try:
        lines = (_PROC / str(pid) / "status").read_text(errors="replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    pending = (line.split()[1] for line in lines if line.startswith(("SigPnd:", "ShdPnd:")))
    return any(int(signals, 16) & _STOP_BIT for signals in pending)
