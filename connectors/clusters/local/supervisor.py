"""One small process per job: starts it, pauses or ends it when told, and records how it ended.

``python -m connectors.clusters.local.supervisor FOLDER`` returns once somebody looks after the job:
a process it leaves behind, or a supervisor that was there before. It outlives the scheduler.

Behind every supervisor stands another process that does nothing while it lives. Where it is killed,
the kernel makes this one the parent of the job, which so goes on as before, and is seen to its end.

What it finds decides what it does, so it may be started at any time and any number of times:

- nothing started yet: it starts the command, once (see ``launch``);
- a started command whose process group lives, its supervisor having been killed: it adopts it, as
  its child where it stood behind that supervisor;
- a started command that is gone, without a record of how it ended (supervisor and job killed
  together, or the machine rebooted): the job FAILED. It is never started again by itself, because
  nobody knows how far it came and a cluster runs a job once. Only where it had been told to leave
  is it paused or cancelled as asked. What was paused before a reboot can be resumed after it.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from connectors.clusters.local.jobfolder import JobFolder, Phase
from connectors.clusters.local.launch import start_job
from connectors.clusters.local.power_caps import PowerCap
from connectors.clusters.local.processes import (
    ProcessIdentity,
    become_subreaper,
    boot_id,
    find,
    group_lives,
    identify,
    is_child,
    is_held,
    signal_group,
)
from connectors.types import JobOrder, JobState, SuspendBy

_WAKE = signal.SIGUSR1
_HEARD = {_WAKE, signal.SIGCHLD}
_LOOK_EVERY_S = 1.0  # should a wake-up be lost
_LOOK_AT_ADOPTED_EVERY_S = 0.2  # nobody tells us when a process that is not our child ends
_LOOK_FIRST_AFTER_S = 0.005
_LOOK_SLOWER_BY = 1.5
_AWAY_AT_MOST_S = 3600.0  # so long the end of a job waits for its folder to be written down in
_LOCK_WAIT_S = 2.0  # longer than anybody holds the lock to see whether it is free
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT))
_UNSEEN = "it ended while its supervisor was gone, so its exit code is not known"


@dataclass(frozen=True, slots=True)
class Run:
    """The run in care: its leader, and whether the kernel tells us how it ends."""

    number: int
    leader: ProcessIdentity
    is_child: bool

    @property
    def has_ended(self) -> bool:
        """Whether it is over; a child is left uncollected, so that its number stays taken."""
        if not self.is_child:
            return find(self.leader) is None and not group_lives(self.leader)
        look = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.leader.pid, look) is not None

    def collect(self) -> int | None:
        """Take the exit code of an ended run, negative for a signal; None where it is not known."""
        if not self.is_child:
            return None
        outcome = os.waitid(os.P_PID, self.leader.pid, os.WEXITED)
        if outcome is None:
            return None
        return outcome.si_status if outcome.si_code == os.CLD_EXITED else -outcome.si_status


def main(path: Path) -> None:
    """Have a process of its own look after the job in ``path``; return once that is settled."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        _stand_by(JobFolder(path), writer)
        return
    os.close(writer)
    os.read(reader, 1)  # ends when all who have its other end close it, or end


def _stand_by(folder: JobFolder, until_settled: int) -> None:
    """Have a child supervise, and take its place where it is killed."""
    become_subreaper()
    supervisor = os.fork()
    if supervisor == 0:
        _supervise(folder, until_settled)
        return
    os.close(until_settled)
    if not _ends_by_itself(supervisor, folder):
        _supervise(folder, None)


def _ends_by_itself(supervisor: int, folder: JobFolder) -> bool:
    """Wait for the end of a supervisor; False where it was not done with its job.

    What processes of the job leave behind in the meantime is ours as well, and is collected; the
    job itself is ours only when its supervisor is on its way out.
    """
    while True:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        if ended is not None and ended.si_pid != supervisor and not _leads(folder, ended.si_pid):
            os.waitid(os.P_PID, ended.si_pid, os.WEXITED)
            continue
        ended = os.waitid(os.P_PID, supervisor, os.WEXITED)
        return ended is None or (ended.si_code, ended.si_status) == (os.CLD_EXITED, 0)


def _leads(folder: JobFolder, pid: int) -> bool:
    """Whether this is the process that the job was started as."""
    start = folder.start(folder.wanted().run)
    return start is not None and start.leader.pid == pid


def _supervise(folder: JobFolder, until_settled: int | None) -> None:
    signal.signal(_WAKE, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    with folder.lock(_LOCK_WAIT_S) as is_held:
        if not is_held or folder.final() is not None:
            return
        folder.write_supervisor(identify(os.getpid()))
        run = _take_over(folder)
        if until_settled is not None:
            os.close(until_settled)
        if run is not None:
            watch(folder, folder.assignment(run.number).order, run)


def _take_over(folder: JobFolder) -> Run | None:
    """Start the wanted run or adopt it; None where nothing is to run."""
    wanted = folder.wanted()
    is_paused = folder.pause(wanted.run) is not None
    start = folder.start(wanted.run)
    if start is not None and not is_paused:
        return _adopt(folder, Run(wanted.run, start.leader, is_child=is_child(start.leader)))
    if wanted.phase is Phase.CANCEL:
        folder.write_final(JobState.CANCELLED, None, "cancelled while it did not run")
        return None
    if wanted.phase is Phase.PAUSE and not is_paused:
        folder.write_pause(wanted.run, None, "paused before it was started")
        return None
    if is_paused:
        return None
    PowerCap(folder, wanted).keep()
    leader = start_job(folder, folder.assignment(wanted.run), wanted)
    return Run(wanted.run, leader, is_child=True)


def _adopt(folder: JobFolder, run: Run) -> Run | None:
    if not run.has_ended:
        return run
    _record_end(folder, run, run.collect())
    return None


def _record_end(folder: JobFolder, run: Run, code: int | None) -> None:
    """Say how a run ended that was not, or not by us, brought to its end."""
    PowerCap(folder, folder.wanted()).lift()
    is_cancelled = folder.wanted().phase is Phase.CANCEL
    was_told_to_leave = folder.was_told_to_leave(run.number)
    if was_told_to_leave or (is_cancelled and code is None):
        _note_left(folder, run, code, _describe(code))
    elif code == 0:
        _note(partial(folder.write_final, JobState.SUCCEEDED, code, ""))
    elif code is None and run.leader.boot_id != boot_id():
        why = "the machine restarted while it ran"
        _note(partial(folder.write_final, JobState.FAILED, None, why))
    else:
        _note(partial(folder.write_final, JobState.FAILED, code, _describe(code)))


def watch(folder: JobFolder, order: JobOrder, run: Run) -> None:
    """Do what is wanted until the run is over; then say how it ended.

    While its folder is away nothing new is wanted, and the run goes on.
    """
    cap = PowerCap(folder, folder.wanted())
    while not run.has_ended:
        phase = _phase(folder)
        if phase is not None:
            cap.keep()
        if phase is Phase.CANCEL or (
            phase is Phase.PAUSE and order.suspend_by is SuspendBy.CHECKPOINT
        ):
            if not _freeze_before_end(run):
                break
            if _end(folder, order, run):
                return
        if order.suspend_by is SuspendBy.FREEZE and phase is not None:
            _hold(run, is_wanted=phase is Phase.PAUSE)
        signal.sigtimedwait(_HEARD, _LOOK_EVERY_S if run.is_child else _LOOK_AT_ADOPTED_EVERY_S)
    _kill(run)
    _wait_for(folder)
    _record_end(folder, run, run.collect())


def _phase(folder: JobFolder) -> Phase | None:
    """Return what is wanted now; ``None`` where the folder is away, as its volume may be."""
    try:
        return folder.wanted().phase
    except OSError:
        return None


def _wait_for(folder: JobFolder) -> None:
    """Wait until the folder is there, but not for ever: somebody may have removed it."""
    give_up_at = time.monotonic() + _AWAY_AT_MOST_S
    for _ in _ever_slower():
        if _phase(folder) is not None or time.monotonic() >= give_up_at:
            break


def _hold(run: Run, *, is_wanted: bool) -> None:
    if is_held(run.leader) != is_wanted:
        signal_group(run.leader, signal.SIGSTOP if is_wanted else signal.SIGCONT)


def _freeze_before_end(run: Run) -> bool:
    """Stop the run, unless it ends by itself first: then what it did counts as done.

    A held job cannot end, so whatever ends it later is what we send it.
    """
    signal_group(run.leader, signal.SIGSTOP)
    for _ in _ever_slower():
        if is_held(run.leader):
            return True
        if find(run.leader) is None:
            return not run.has_ended
    return True


def _end(folder: JobFolder, order: JobOrder, run: Run) -> bool:
    """Let a held run save and leave, kill what stays, and say that it is paused or cancelled.

    False where there is no room to note that it is told: then it is not, and works on.

    After SIGTERM any exit code means "paused": frameworks leave with 0 as well as with an error
    once they have saved, and to take a saved job for a finished one would lose the rest of it.
    The code is kept, for whoever knows what it says.
    """
    try:
        folder.write_told_to_leave(run.number)  # while it is held: it had not ended by itself
    except OSError as error:
        signal_group(run.leader, signal.SIGCONT)
        if error.errno not in _NO_ROOM:
            raise
        return False
    signal_group(run.leader, signal.SIGTERM)
    signal_group(run.leader, signal.SIGCONT)
    give_up_at = time.monotonic() + order.checkpoint_grace_s
    for _ in _ever_slower():
        if not group_lives(run.leader) or time.monotonic() >= give_up_at:
            break
    leader_lived = find(run.leader) is not None
    was_killed = _kill(run)
    code = run.collect()
    if code is None and leader_lived and was_killed:  # it is nobody's child, and yet we know
        code = -signal.SIGKILL
    PowerCap(folder, folder.wanted()).lift()
    how = (
        f"killed after {order.checkpoint_grace_s:g} s of grace"
        if was_killed
        else f"left within {order.checkpoint_grace_s:g} s of grace, {_describe(code)}"
    )
    _note_left(folder, run, code, how)
    return True


def _note_left(folder: JobFolder, run: Run, code: int | None, how: str) -> None:
    if folder.wanted().phase is Phase.CANCEL:
        _note(partial(folder.write_final, JobState.CANCELLED, code, f"cancelled: {how}"))
    else:
        _note(partial(folder.write_pause, run.number, code, f"paused: {how}"))


def _note(write: Callable[[], None]) -> None:
    """Write down what nobody else knows, once there is room for it."""
    for _ in _ever_slower():
        try:
            write()
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
        else:
            break


def _kill(run: Run) -> bool:
    """Kill what is left of the group; True where there was something. Its GPUs are free after."""
    if not group_lives(run.leader):
        return False
    for _ in _ever_slower():
        signal_group(run.leader, signal.SIGKILL)
        if not group_lives(run.leader):
            break
    return True


def _ever_slower() -> Iterator[None]:
    """Yield without end, waiting a little longer each time unless a signal comes."""
    wait_s = _LOOK_FIRST_AFTER_S
    while True:
        yield
        signal.sigtimedwait(_HEARD, wait_s)
        wait_s = min(wait_s * _LOOK_SLOWER_BY, _LOOK_AT_ADOPTED_EVERY_S)


def _describe(code: int | None) -> str:
    if code is None:
        return _UNSEEN
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"exit code {code}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
