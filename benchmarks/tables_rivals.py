"""The table of rivals: what they found in equal time, next to ours."""

from __future__ import annotations

from benchmarks.ours import Track
from benchmarks.parts import CP_SAT_THREADS, HOPELESS, RIVALLED, RIVALS, Scale
from benchmarks.records import Record, Records
from benchmarks.wording import NONE, eur, memory, number, paragraph, seconds, table

NAMES = {
    "milp": "time-indexed MILP, Pyomo and HiGHS",
    **{key: f"OR-tools CP-SAT, {threads} threads" for key, threads in CP_SAT_THREADS.items()},
    "grid-prices": "greedy at grid prices",
    "marginal-prices": "greedy at marginal prices",
}
HEAD = (
    "Instance",
    "Who",
    "What happened",
    "Objective [EUR]",
    "To ours",
    "Its own bound [EUR]",
    "Done [s]",
    "Left out",
    "Memory",
)


def rivals(scale: Scale, records: Records) -> str:
    """Table of every rival on every instance, and ours first."""
    rows = []
    for name in RIVALLED:
        own = records.read(f"reference-{name}")
        ours_eur = None
        if own is not None and own.value is not None:
            track = Track.of(own.value)
            ours_eur = track.end.best_eur
            rows.append(_own_row(name, scale.limits_s[name], own, track))
        rows += [
            _row(name, rival, records.read(f"rivals-{name}-{rival}"), ours_eur)
            for rival in RIVALS
            if (name, rival) not in HOPELESS
        ]
    note = """
        Each rival has the seconds that ours has on that instance, building its model included, and
        may end sooner. All are judged alike: the places found for jobs, with the cheapest flows for
        them. The MILP lists every placement of jobs in one piece and has slot variables for the
        others; CP-SAT has the same choices as booleans, and energy in whole steps of 10 W. Ours
        searches in one process here. CP-SAT leaves most of its strategies out with few threads, so
        it runs with more of them than there are cores, too."""
    return f"""\
### B. Rivals in equal time

{table(HEAD, rows, 3)}

{paragraph(note)}"""


def _own_row(name: str, limit_s: float, record: Record, track: Track) -> list[str]:
    return [
        name,
        "**ours**",
        f"plan; {limit_s:g} s allowed",
        eur(track.end.best_eur),
        "1.000",
        eur(track.end.bound_eur),
        seconds(track.end.seconds),
        number(track.n_unserved),
        memory(record.peak_mb),
    ]


def _row(name: str, rival: str, record: Record | None, ours_eur: float | None) -> list[str]:
    who = [name, NAMES[rival]]
    if record is None:
        return [*who, "not measured", *[NONE] * 6]
    if record.value is None or record.verdict is None:
        return [*who, record.failure or NONE, *[NONE] * 5, memory(record.peak_mb)]
    found, verdict = record.value, record.verdict
    breaches = len(verdict["breaches"])
    is_refused = f"**refused: {breaches} breaches**" if breaches else "plan"
    objective = verdict["objective_eur"]
    return [
        *who,
        "; ".join(part for part in (is_refused, found["note"]) if part),
        eur(objective),
        NONE if ours_eur is None else f"{objective / ours_eur:.3f}",
        eur(found["bound_eur"]),
        seconds(found["seconds"]),
        number(verdict["n_unserved"]),
        memory(record.peak_mb),
    ]
