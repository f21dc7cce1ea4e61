"""``python -m benchmarks.chaos``: 200 faults in a day on three real clusters. Prints the tables.

Every job writes down what it sees: that it is started, that it is done, that another copy of it or
of a job on its GPUs lives. Beside it stands what the scheduler says of it. Jobs are planned anew
all the while, and run at the site that the plan has for them, on a clock that makes an hour of 20
seconds. Exits with 1 where a job is lost, run twice or late.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.chaos.day import KINDS
from benchmarks.chaos.evidence import Judged, restarts
from benchmarks.chaos.faults import KUBERNETES, SLURM
from benchmarks.chaos.run import Asked, Outcome, run
from benchmarks.wording import table
from scheduler.db.models import JobStatus

_SEED = 20210705


def main() -> None:
    """Run it and judge."""
    parser = argparse.ArgumentParser(description="A day on real clusters while everything fails.")
    parser.add_argument("--seed", type=int, default=_SEED)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=80)
    parser.add_argument(
        "--clusters", nargs="+", choices=(SLURM, KUBERNETES), default=(SLURM, KUBERNETES)
    )
    parser.add_argument("--seconds-per-hour", type=float, default=20.0)
    parser.add_argument("--faults-within-hours", type=float, default=26.0)
    parser.add_argument("--released-within-hours", type=float, default=20.0)
    parser.add_argument("--keep", type=Path, help="folder to run in, which must be new")
    said = parser.parse_args()
    asked = Asked(
        seed=said.seed,
        n_faults=said.faults,
        n_jobs=said.jobs,
        clusters=tuple(said.clusters),
        seconds_per_hour=said.seconds_per_hour,
        faults_within_hours=said.faults_within_hours,
        released_within_hours=said.released_within_hours,
        plan_every_s=1.5 * said.seconds_per_hour,
    )
    with TemporaryDirectory(prefix="gridtide-chaos-") as temporary:
        folder = said.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=said.keep is None)
        outcome = run(asked, folder.absolute(), _show)
    print(_report(outcome))
    sys.exit(any(one.faults for one in outcome.judged))


def _show(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}   ", end="", file=sys.stderr, flush=True)


def _report(outcome: Outcome) -> str:
    counted = Counter(
        f"{fault.what}, {fault.where}" if fault.where else str(fault.what)
        for fault in outcome.faults
    )
    commands = ", ".join(f"{n} {how.value}" for how, n in sorted(outcome.commands.items()))
    head = ["Jobs", "Number", "Done in time", "Started again", "Lost with what ran them", "Wrong"]
    return "\n".join(
        (
            "",
            table(["Fault", "Times"], [[what, str(n)] for what, n in sorted(counted.items())]),
            "",
            table(head, [_row(outcome, kind.name) for kind in KINDS]),
            "",
            f"{outcome.n_plans} plans; commands: {commands}; {outcome.took_s:.0f} s.",
            *(_complaint(one) for one in outcome.judged if one.faults),
        )
    )


def _complaint(one: Judged) -> str:
    stands = f"{one.row.status.value}: {one.row.reason}"
    return f"- **{one.row.name}** ({one.kind.name}; {stands}): {', '.join(one.faults)}"


def _row(outcome: Outcome, kind: str) -> list[str]:
    own = [one for one in outcome.judged if one.kind.name == kind]
    done = [one for one in own if one.seen.done_at is not None and "late" not in one.faults]
    lost = [one for one in own if one.row.status is JobStatus.FAILED and not one.faults]
    again = sum(restarts(one.seen) for one in own)
    wrong = sum(bool(one.faults) for one in own)
    return [kind, str(len(own)), str(len(done)), str(again), str(len(lost)), str(wrong)]


if __name__ == "__main__":
    main()
