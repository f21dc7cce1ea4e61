"""What slurmdbd says in each release, and whose energy it is. Answers as real ones gave them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.clusters.slurm.accounts import SlurmAccounts
from connectors.clusters.slurm.attribution import attribute
from connectors.clusters.slurm.memory import Memory
from connectors.clusters.slurm.sacct import read_account_lines, read_accounts
from connectors.clusters.slurm.transport import JobAccount, SlurmNode, StepAccount
from connectors.errors import ContractBroken
from connectors.types import JobOrder, PowerScope

START_S = 1_795_747_599.0
# A job on two nodes that was requeued once, as it is kept by 22.05 and by 24.11.
REQUEUED = (
    JobAccount(
        job_id=1,
        name="gridtide-b-1",
        start_at=START_S,
        end_at=START_S + 5,
        was_suspended=False,
        nodes="n[1-2]",
        cpus=128,
        steps=(
            StepAccount("batch", 1, START_S, START_S + 5, 4000.0),
            StepAccount("extern", 2, START_S, START_S + 5, 8000.0),
            StepAccount("0", 2, START_S + 1, START_S + 3, None),
        ),
    ),
    JobAccount(
        job_id=1,
        name="gridtide-b-1",
        start_at=START_S + 11,
        end_at=None,
        was_suspended=False,
        nodes="n[1-2]",
        cpus=128,
        steps=(StepAccount("extern", 2, START_S + 11, None, None),),
    ),
)
LINES = """\
1|1795747599|1795747604|00:00:00|||2|128|n[1-2]|gridtide-b-1
1.batch|1795747599|1795747604|00:00:00|4000|cpu=00:00:00,energy=4000|1|64|n1|batch
1.extern|1795747599|1795747604|00:00:00|8000|cpu=00:00:00,energy=4000|2|128|n[1-2]|extern
1.0|1795747600|1795747602|00:00:00|0|cpu=00:00:00|2|128|n[1-2]|sleep|a pipe
1|1795747610|Unknown|00:00:00|||2|128|n[1-2]|gridtide-b-1
1.extern|1795747610|Unknown|00:00:00||energy=4000|2|128|n[1-2]|extern
2|Unknown|Unknown|00:00:00|||0|0|None assigned|gridtide-c-1
3+0|1795747610|1795747611|00:00:00|||1|1|n1|of several components
"""


def number(value: float, *, is_set: bool = True) -> dict[str, Any]:
    """A number as the newer dialects wrap it."""
    return {"set": is_set, "infinite": False, "number": value}


def step_record(step: StepAccount, *, is_new: bool) -> dict[str, Any]:
    """A step as the one dialect says it, or the other."""
    end = step.end_at or 0
    joules = step.joules or 0
    consumed: Any = step.joules
    if is_new:
        consumed = number(joules, is_set=step.joules is not None)
    return {
        "step": {"id": f"1.{step.name}" if is_new else step.name},
        "nodes": {"count": step.nodes},
        "time": {
            "start": number(step.start_at) if is_new else step.start_at,
            "end": number(end) if is_new else end,
        },
        "statistics": {"energy": {"consumed": consumed}},
        "tres": {"requested": {"min": [{"type": "energy", "count": joules / step.nodes}]}},
    }


def record(account: JobAccount, *, is_new: bool) -> dict[str, Any]:
    """A job in the same."""
    time = {"start": account.start_at, "end": account.end_at or 0, "suspended": 0}
    tres = [{"type": "cpu", "count": account.cpus}, {"type": "energy", "count": None}]
    return {
        "job_id": account.job_id,
        "name": account.name,
        "time": time,
        "nodes": account.nodes,
        "tres": {"allocated": tres},
        "steps": [step_record(step, is_new=is_new) for step in account.steps],
    }


def heard(account: JobAccount) -> JobAccount:
    """The account without what no answer tells of a step without energy."""
    steps = (replace(step, is_silent_somewhere=False) for step in account.steps)
    return replace(account, steps=tuple(steps))


def test_sacct_prints_allocations_and_behind_each_its_steps() -> None:
    """What was never started is none, nor is a part of a job of several components."""
    first, second = read_account_lines(LINES)
    assert heard(first) == REQUEUED[0]
    assert second == replace(REQUEUED[1], start_at=1795747610.0, steps=second.steps)
    assert [step.end_at for step in second.steps] == [None]


@pytest.mark.parametrize("is_new", [False, True])
def test_rest_says_the_same_in_two_dialects(is_new: bool) -> None:
    """A number, or a number in a wrapping; a step by its name, or by that of its job as well."""
    never = record(replace(REQUEUED[0], start_at=0.0, steps=()), is_new=is_new)
    answer = {"jobs": [record(one, is_new=is_new) for one in REQUEUED] + [never]}
    assert tuple(map(heard, read_accounts(answer))) == REQUEUED


@pytest.mark.parametrize("joules", [0, 0xFFFFFFFE, 0xFFFFFFFF, 2**64 - 2, 2**64 - 1, 2**64 - 9000])
def test_numbers_that_stand_for_nothing_are_silence(joules: int) -> None:
    """NO_VAL and what comes of subtracting from it; a zero is nobody's measurement."""
    line = f"1.batch|1795747599|1795747604|00:00:00|{joules}||1|64|n1|batch"
    (job,) = read_account_lines(f"{LINES.splitlines()[0]}\n{line}")
    assert [step.joules for step in job.steps] == [None]
    answer = {"jobs": [record(REQUEUED[0], is_new=True)]}
    answer["jobs"][0]["steps"][1]["statistics"]["energy"]["consumed"] = number(joules)
    assert read_accounts(answer)[0].steps[1].joules is None


def test_what_is_no_account_is_refused() -> None:
    """A line that is cut off, an answer without its times."""
    with pytest.raises(ContractBroken, match="sacct"):
        read_account_lines("1|1795747599|1795747604")
    with pytest.raises(ContractBroken, match="slurmdbd's jobs"):
        read_accounts({"jobs": [{"job_id": 1}]})


NODES = {
    name: SlurmNode(name, frozenset(), frozenset(), frozenset(), {}, {}, cpus=64)
    for name in ("n1", "n2")
}
JOB = REQUEUED[0]
EXTERN = JOB.steps[1]


def steps(*some: StepAccount, **changes: Any) -> JobAccount:
    """The job with these steps."""
    return replace(JOB, steps=some, **changes)


def test_the_step_that_was_everywhere_all_the_time_tells() -> None:
    """Steps are not added up: each counted the whole node."""
    assert attribute(JOB, NODES, PowerScope.NODES) == (8000 / 3.6e6, "")
    short = replace(JOB.steps[2], joules=9000.0, end_at=START_S + 3)
    long = replace(JOB, end_at=START_S + 500)
    lasting = replace(EXTERN, end_at=START_S + 500)
    assert attribute(replace(long, steps=(short, lasting)), NODES, PowerScope.NODES)[0] == (
        8000 / 3.6e6
    )


@pytest.mark.parametrize(
    ("account", "why"),
    [
        (steps(replace(EXTERN, joules=None)), "AcctGatherEnergyType"),
        (steps(), "AcctGatherEnergyType"),
        (replace(JOB, was_suspended=True), "suspended it for a while"),
        (replace(JOB, cpus=127), "it had 127 of 128 CPUs"),
        (replace(JOB, nodes="n[1-3]"), "node n3 is not known any more"),
        (steps(JOB.steps[0]), "no step of it was on its 2 nodes from beginning to end"),
        (
            steps(replace(EXTERN, end_at=START_S + 5), end_at=START_S + 500),
            "no step of it was on its 2 nodes from beginning to end",
        ),
        (
            steps(replace(EXTERN, start_at=START_S + 40, end_at=START_S + 50), end_at=START_S + 90),
            "no step of it was on its 2 nodes from beginning to end",
        ),
        (steps(replace(EXTERN, joules=None), JOB.steps[0]), "extern has no energy on record"),
        (steps(replace(EXTERN, is_silent_somewhere=True)), "not all of its 2 nodes told"),
        (steps(replace(EXTERN, joules=1.1e6)), "110 kW for each of its nodes, must be <= 100"),
    ],
)
def test_energy_that_is_not_its_own_is_not_claimed(account: JobAccount, why: str) -> None:
    """And the reason is said."""
    kwh, reason = attribute(account, NODES, PowerScope.NODES)
    assert kwh is None
    assert why in reason


def test_of_gpus_alone_it_does_not_matter_who_had_the_node() -> None:
    """Each step's own are counted."""
    assert attribute(replace(JOB, cpus=1), {}, PowerScope.GPUS) == (8000 / 3.6e6, "")


class Slurmdbd:
    """A transport that has these accounts."""

    def __init__(self, *accounts: JobAccount) -> None:
        self._accounts = accounts
        self.asked: list[list[int]] = []

    async def accounts(self, job_ids: list[int]) -> tuple[JobAccount, ...]:
        """Those of these numbers, whoever had them."""
        self.asked.append(job_ids)
        return tuple(one for one in self._accounts if one.job_id in job_ids)

    async def nodes(self) -> tuple[SlurmNode, ...]:
        """Both."""
        return tuple(NODES.values())


def accounts_of(folder: Path, now_s: float, *accounts: JobAccount) -> SlurmAccounts:
    """Accounts of a cluster with one job, which was started once and is over since five seconds."""
    memory = Memory(folder)
    if not (folder / "jobs").exists():
        memory.identity.read()
        (folder / "jobs").mkdir()
        job = memory.folder("k")
        job.create(JobOrder("k", ("true",), "pool", 8, {"GRIDTIDE_JOB": "b"}))
        (job.path / "claim-1").symlink_to("1")
        (job.path / "start-1.0").write_text(f"{START_S + 1} n[1-2]\n")
        (job.path / "end-1.0").write_text(f"{START_S + 5} exited 0\n")
    transport: Any = Slurmdbd(*accounts)
    return SlurmAccounts("slurm", folder, transport, clock=lambda: now_s)


async def test_a_record_is_of_the_job_by_number_name_and_time(tmp_path: Path) -> None:
    """Numbers are given again, by another cluster of the same slurmdbd or a controller set anew."""
    now_s = START_S + 1000
    elsewhere = replace(JOB, name="train", steps=(replace(EXTERN, joules=1.0),))
    earlier = replace(JOB, start_at=START_S - 900, end_at=START_S - 800)
    later = replace(JOB, start_at=START_S + 900, end_at=START_S + 910)
    others = elsewhere, earlier, later
    (found,) = await accounts_of(tmp_path, now_s, *others, JOB).energy(["k"])
    assert (found.key, found.start, found.kwh) == ("k", 1, 8000 / 3.6e6)
    assert found.started_at == datetime.fromtimestamp(START_S + 1, UTC)
    assert found.ended_at == datetime.fromtimestamp(START_S + 5, UTC)
    assert await accounts_of(tmp_path, now_s, *others).energy(["k"]) == ()


async def test_many_numbers_are_several_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of a command, or the address of a page, has an end."""
    monkeypatch.setattr("connectors.clusters.slurm.accounts._IDS_AT_ONCE", 2)
    accounts = accounts_of(tmp_path, START_S + 1000, JOB)
    transport: Any = accounts._transport
    for number in (2, 3):
        job = Memory(tmp_path).folder(str(number))
        job.create(JobOrder(str(number), ("true",), "pool", 8))
        (job.path / "claim-1").symlink_to(str(number))
        (job.path / "start-1.0").write_text(f"{START_S + 1} n[1-2]\n")
        (job.path / "end-1.0").write_text(f"{START_S + 5} exited 0\n")
    (found,) = await accounts.energy(["k", "2", "3"])
    assert found.key == "k"
    assert transport.asked == [[1, 2], [3]]


def set_clock(folder: Path, ahead_s: float, *starts: tuple[float, float]) -> None:
    """Let the job have been started so, by the clock of a node [s after its first start]."""
    job = Memory(folder).folder("k").path
    for attempt, (start, end) in enumerate(starts):
        began, ended = START_S + ahead_s + start, START_S + ahead_s + end
        (job / f"start-1.{attempt}").write_text(f"{began} n[1-2]\n")
        (job / f"end-1.{attempt}").write_text(f"{ended} exited 0\n")


@pytest.mark.parametrize("ahead_s", [-290.0, -100.0, 0.0, 100.0, 290.0])
async def test_a_node_whose_clock_is_off_loses_no_energy(tmp_path: Path, ahead_s: float) -> None:
    """As far as munge lets it; starts of a job that was requeued are told apart all the same."""
    again = steps(
        replace(EXTERN, start_at=START_S + 130, end_at=START_S + 150, joules=16000.0),
        start_at=START_S + 130,
        end_at=START_S + 150,
    )
    accounts = accounts_of(tmp_path, START_S + 1000, again, JOB)
    set_clock(tmp_path, ahead_s, (1, 5))
    (found,) = await accounts_of(tmp_path, START_S + 1000, JOB).energy(["k"])
    assert found.kwh == 8000 / 3.6e6
    set_clock(tmp_path, ahead_s, (1, 5), (131, 150))
    found, other = await accounts.energy(["k"])
    assert (found.kwh, other.kwh) == (8000 / 3.6e6, 16000 / 3.6e6)


async def test_the_record_of_a_start_before_is_nobody_elses(tmp_path: Path) -> None:
    """That of a job which was requeued may come later."""
    accounts = accounts_of(tmp_path, START_S + 1000, JOB)
    set_clock(tmp_path, 0.0, (1, 5), (131, 150))
    (found,) = await accounts.energy(["k"])
    assert (found.start, found.kwh) == (1, 8000 / 3.6e6)


async def test_a_record_is_waited_for_until_it_is_whole(tmp_path: Path) -> None:
    """A step may be told after its job; one that never is, is given up after six days."""
    late = replace(JOB, steps=(*JOB.steps, replace(EXTERN, name="1", end_at=None)))
    for account in (late, replace(JOB, end_at=None)):
        assert await accounts_of(tmp_path, START_S + 1000, account).energy(["k"]) == ()
        assert await accounts_of(tmp_path, START_S + 143 * 3600, account).energy(["k"]) == ()
        (found,) = await accounts_of(tmp_path, START_S + 145 * 3600, account).energy(["k"])
        assert (found.kwh, found.reason) == (None, "not on record 144 h after it was over")
    (unknown,) = await accounts_of(tmp_path, START_S + 145 * 3600).energy(["k"])
    assert (unknown.kwh, unknown.ended_at) == (None, None)


async def test_a_job_is_asked_for_once_its_last_step_may_be_on_record(tmp_path: Path) -> None:
    """Two minutes after its end."""
    assert await accounts_of(tmp_path, START_S + 124, JOB).energy(["k"]) == ()
    assert len(await accounts_of(tmp_path, START_S + 126, JOB).energy(["k"])) == 1
