"""Tables of growth, of several processes, of replans and of answers about a plan."""

from __future__ import annotations

from benchmarks.draws import CAPS
from benchmarks.ours import Track
from benchmarks.parts import CHURN_EUR, GROWTH_GAP, PLACED, PLACES, TARGETS, Scale
from benchmarks.records import Record, Records
from benchmarks.replans import ASKED_GAP, Replan, Replans
from benchmarks.wording import (
    NONE,
    against,
    eur,
    memory,
    number,
    paragraph,
    percent,
    seconds,
    share,
    table,
    verified,
)

CLOSE, LESS_CLOSE = 0.001, 0.03
MS_PER_S = 1000.0
KB_PER_MB = 1000.0
REPLAN_S, REPLAN_MOVED = 5.0, 0.05
"""What a replan is held to: seconds, and the share of jobs moved."""


def growth(scale: Scale, records: Records) -> str:
    """Table of crowds that grow."""
    rows = []
    for n_jobs in scale.crowds:
        record = records.read(f"growth-{n_jobs}")
        if record is None or record.value is None:
            rows.append([number(n_jobs), _why(record), *[NONE] * 4])
            continue
        track = Track.of(record.value)
        bound_eur = track.end.bound_eur
        bound_s = None if bound_eur is None else track.bound_within_s(bound_eur, CLOSE)
        taken = (bound_s, track.first_plan_s(), track.plan_within_s(GROWTH_GAP))
        cells = [f"{seconds(one)} ({_per_job(one, n_jobs)})" for one in taken]
        per_job = f"{record.peak_mb * KB_PER_MB / n_jobs:.0f} kB"
        rows.append(
            [
                number(n_jobs),
                *cells,
                percent(track.gap_at(track.end.seconds)),
                f"{memory(record.peak_mb)} ({per_job})",
            ]
        )
    head = (
        "Jobs",
        "Bound [s]",
        "First plan [s]",
        f"Gap of {share(GROWTH_GAP)} [s]",
        "Gap at the end [%]",
        "Memory",
    )
    note = f"""
        Ten sites, a week, GPUs for as many jobs as there are. In brackets: for each job. "Bound" is
        the time until it was within {share(CLOSE)} of the last one; a solve ends once a gap of
        {share(GROWTH_GAP)} is proven, or after {scale.crowd_limit_s:g} s."""
    return f"""\
### C. Growth

{paragraph(note)}

{table(head, rows)}"""


def _per_job(value: float | None, n_jobs: int) -> str:
    return NONE if value is None else f"{value / n_jobs * MS_PER_S:.2f} ms"


def _why(record: Record | None) -> str:
    return "not measured" if record is None else record.failure or NONE


def capped(scale: Scale, records: Records) -> str:
    """Table of crowds whose jobs change their power cap, and the MILP of them beside."""
    rows = []
    for n_jobs in scale.capped:
        record, rival = (records.read(f"capped-{n_jobs}{milp}") for milp in ("", "-milp"))
        if record is None or record.value is None:
            rows.append([number(n_jobs), _why(record), *[NONE] * 5])
            continue
        track = Track.of(record.value)
        end, limit_s = track.end, scale.capped_limit_s
        milp = _why(rival)
        if rival is not None and rival.value is not None and end.best_eur is not None:
            milp = f"{rival.value['own_eur'] / end.best_eur:.3f} times ours"
        rows.append(
            [
                number(n_jobs),
                seconds(track.first_plan_s()),
                seconds(track.plan_within_s(LESS_CLOSE)),
                percent(track.gap_at(limit_s)),
                eur(end.best_eur),
                verified(track.breaches),
                milp,
            ]
        )
    head = (
        "Jobs",
        "First plan [s]",
        f"Gap of {share(LESS_CLOSE)} [s]",
        f"Gap after {scale.capped_limit_s:g} s [%]",
        "Objective [EUR]",
        "`verify`",
        "Pyomo MILP in equal time",
    )
    caps = ", ".join(
        f"{share(power)} of the power at {share(speed)} speed" for power, speed in CAPS
    )
    note = f"""
        The draw of M with fewer or more jobs, every one of which may change its power cap from slot
        to slot: {caps}. Work is counted in units, whose size differs by 0.3 to 1.5 % from cap to
        cap for jobs of more than four slots at these speeds, and the bound is lower by some of it.
        The MILP has slot variables for every job; its ratio is by its own objective."""
    return f"""\
### H. Jobs that change their operating point

{paragraph(note)}

{table(head, rows)}"""


def places(scale: Scale, records: Records) -> str:
    """Table of one process, several, and a cluster."""
    rows, digests, gaps = [], [], []
    for key, words in PLACES.items():
        timed, rounds = (records.read(f"places-{kind}-{key}") for kind in ("clock", "rounds"))
        row = [words]
        if timed is None or timed.value is None:
            row += [_why(timed), NONE]
        else:
            track = Track.of(timed.value)
            gaps.append(track.gap_at(track.end.seconds))
            row += [number(track.rounds()), percent(gaps[-1])]
        if rounds is None or rounds.value is None:
            row += [_why(rounds), NONE, NONE]
        else:
            track = Track.of(rounds.value)
            digests.append(track.digest)
            row += [seconds(track.end.seconds), eur(track.end.best_eur), f"`{track.digest}`"]
        rows.append(row)
    limit_s = scale.limits_s[PLACED]
    head = (
        "Where",
        f"Rounds in {limit_s:g} s",
        f"Gap after {limit_s:g} s [%]",
        f"{scale.rounds} rounds take [s]",
        "Objective then [EUR]",
        "Plan",
    )
    note = f"""
        Instance {PLACED}. The Dask cluster is local: its workers have the cores of this machine.
        Processes are started before the time runs. "Plan" is a digest of where and when every job
        runs."""
    return f"""\
### E. One process, several, a cluster

{paragraph(note)}

{table(head, rows)}

{_sameness(digests, scale.rounds)}"""


def _sameness(digests: list[str], rounds: int) -> str:
    if len(digests) < len(PLACES):
        return "Whether plans are the same was not measured everywhere."
    if len(set(digests)) == 1:
        return f"Ended by rounds, after {rounds} of them, the three plans are the same, job by job."
    return f"Ended by rounds, after {rounds} of them, the plans are **not** all the same."


def replanned(scale: Scale, records: Records) -> str:
    """Table of plans mended after one change."""
    record = records.read("replans")
    title = "### F. Planned anew after one change"
    if record is None or record.value is None:
        return f"{title}\n\nInstance {PLACED}: {_why(record)}."
    found = Replans.of(record.value)
    head = (
        "Change",
        "Same gap after [s]",
        "",
        f"{share(_wide_gap())} after [s]",
        "From nothing: same gap after [s]",
        f"{share(_wide_gap())} after [s]",
        "Jobs moved [%]",
        "",
        "Promises broken",
        "`verify`",
    )
    rows = [_replan_row(one, found.gap) for one in found.after]
    limit_s = scale.limits_s[PLACED]
    note = f"""
        Instance {PLACED}, planned until {share(ASKED_GAP)} is proven: gap {percent(found.gap)} %.
        Then one change, and a solve from that plan and its prices until the gap is the same, for at
        most {limit_s:g} s. Jobs carry the start they were promised, and breaking the promise costs
        {CHURN_EUR:g} EUR. "From nothing" is a solve of the changed problem without that plan and
        its promises, until the same gap. Moved is a job that could have stayed and runs in any
        other slot or elsewhere; its promise is broken if it also starts elsewhere or at another
        time. {share(_wide_gap())} is what table A asks for. Held to
        {REPLAN_S:g} s and {share(REPLAN_MOVED)} moved."""
    return f"""\
{title}

{paragraph(note)}

{table(head, rows)}"""


def _wide_gap() -> float:
    """Return what table A holds a plan of this instance to."""
    return TARGETS[PLACED].gaps[-1][1]


def _replan_row(one: Replan, gap: float) -> list[str]:
    end = one.warm.end
    is_there = end.best_eur is not None and (one.warm.gap_at(end.seconds) or 0.0) <= gap + 1e-9
    warm_s = end.seconds if is_there else None
    last = f"gap {percent(one.warm.gap_at(end.seconds))} % after {seconds(end.seconds)}"
    moved = one.n_moved / one.n_untouched
    cold_s = one.cold.plan_within_s(gap)
    cold = f"gap {percent(one.cold.gap_at(one.cold.end.seconds))} % at the end"
    return [
        one.change,
        last if warm_s is None else seconds(warm_s),
        against(warm_s, REPLAN_S, "s"),
        seconds(one.warm.plan_within_s(_wide_gap())),
        cold if cold_s is None else seconds(cold_s),
        seconds(one.cold.plan_within_s(_wide_gap())),
        f"{percent(moved)} ({one.n_moved} of {number(one.n_untouched)})",
        against(100 * moved, 100 * REPLAN_MOVED, "points", 2),
        number(one.n_broken),
        verified(one.warm.breaches),
    ]


def quotes(_: Scale, records: Records) -> str:
    """Return what the benchmark of quotes printed."""
    record = records.read("quotes")
    printed = f"{_why(record)}."
    if record is not None and record.value is not None:
        printed = "\n".join(["```", *record.value, "```"])
    return f"""\
### G. Answers about a plan of 10,000 jobs

Over HTTP on 127.0.0.1, one request after another; assumptions in [quotes.py](quotes.py).

{printed}"""
