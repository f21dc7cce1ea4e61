"""The section of RESULTS.md that ``make bench`` writes, from what is on file."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.draws import BOUND_EUR, SIZES
from benchmarks.ours import Track
from benchmarks.parts import LARGE_GAP, TARGETS, Scale, measurements
from benchmarks.records import Record, Records
from benchmarks.tables_apart import capped, growth, places, quotes, replanned
from benchmarks.tables_rivals import rivals
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

CLOSE = 0.001
"""A bound this near the reference is as good as it."""

Part = Callable[[Scale, Records], str]


def section(scale: Scale, records: Records) -> str:
    """Write all tables; what was not measured says so."""
    parts: tuple[Part, ...] = (
        heading,
        references,
        rivals,
        growth,
        phases,
        places,
        replanned,
        quotes,
        capped,
    )
    return "\n\n".join(part(scale, records) for part in parts)


def heading(scale: Scale, records: Records) -> str:
    """Say what was measured, where and when."""
    sizes = ", ".join(f"{name} {size}" for name, size in scale.sizes.items())
    what = f"""
        Random problems that anyone can draw again: [draws.py](draws.py) makes their numbers from a
        seed, and says what they mean. The four reference instances, as jobs × sites × slots of an
        hour: {sizes}. Jobs ask for three quarters of the GPU-hours there are; four in ten may pause
        at will. The reference bounds of S, M and L were proven by column generation that priced
        every placement of every job. For the growth table the same draw is made larger, at ten
        sites for a week."""
    return f"""\
## Placement problems with scarce GPUs

{paragraph(what)}

```
make bench                                      # all of it, about an hour
python -m benchmarks.scale --list               # what there is to measure
python -m benchmarks.scale --only reference-S 'rivals-S-*'
```

{paragraph(_facts(scale, records))}

How to read the tables:

- A gap is (objective − proven bound) / |objective|, both as known at that time.
- Seconds are by the clock, from the problem to the answer: building the model is in them.
- Every plan, ours and theirs, is verified once more before it counts.
- Each measurement has a process of its own; memory is the most that process ever held.
- Where no place is named, one process searches."""


def _facts(scale: Scale, records: Records) -> str:
    found = records.all()
    if not found:
        return "Nothing was measured yet."
    machines = "; ".join(sorted({record.machine for record in found}))
    days = sorted({record.taken_on for record in found})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    busy = max(record.load for record in found)
    older = outdated(scale, records)
    text = f"Measured {span} (UTC) on {machines}. Load before a measurement: at most {busy:.1f}."
    if older:
        text += f" {len(older)} of {len(found)} measurements are of an older state of the code."
    return text


def outdated(scale: Scale, records: Records) -> list[str]:
    """Return what was measured before the code became what it is."""
    every = list(measurements(scale))
    return [one.name for one in every if records.read(one.name) and not records.has(one)]


def references(scale: Scale, records: Records) -> str:
    """Tables of the reference instances: what they are held to, and what else is known."""
    targets: list[list[str]] = []
    details: list[list[str]] = []
    for name, size in scale.sizes.items():
        record = records.read(f"reference-{name}")
        if record is None or record.value is None:
            why = "not measured" if record is None else record.failure or NONE
            details.append([name, why, *[NONE] * (len(_DETAIL_HEAD) - 2)])
            continue
        track = Track.of(record.value)
        reference_eur = BOUND_EUR.get(name) if size == SIZES[name] else None
        targets += _held_to(name, track, record, reference_eur)
        details.append(_detail(name, track, record))
    note = f"""
        "Bound" is what this solve proved. The reference bounds of S, M and L are
        {_reference_bounds()} EUR; XL is held to its own, and ends once {share(LARGE_GAP)} is
        proven, half its target."""
    return f"""\
### A. What each instance is held to

{table(("Instance", "What", "Target", "Figure", ""), targets, 2)}

{table(_DETAIL_HEAD, details)}

{paragraph(note)}"""


_DETAIL_HEAD = (
    "Instance",
    "First plan [s]",
    "Within target gap [s]",
    "Done [s]",
    "Objective [EUR]",
    "Bound [EUR]",
    "Gap [%]",
    "Left out",
    "Memory",
    "`verify`",
)


def _reference_bounds() -> str:
    return ", ".join(f"{bound:,g}".replace(",", " ") for bound in BOUND_EUR.values())


def _held_to(
    name: str, track: Track, record: Record, reference_eur: float | None
) -> list[list[str]]:
    target = TARGETS[name]
    bound_eur = reference_eur if reference_eur is not None else track.end.bound_eur
    bound_s = None if bound_eur is None else track.bound_within_s(bound_eur, CLOSE)
    of = "the reference" if reference_eur is not None else "its own last one"
    what = f"bound within {share(CLOSE)} of {of}"
    if target.bound_s is None:
        rows = [[name, what, NONE, f"{seconds(bound_s)} s", ""]]
    else:
        verdict = against(bound_s, target.bound_s, "s")
        rows = [[name, what, f"{target.bound_s:g} s", f"{seconds(bound_s)} s", verdict]]
    for at_s, most in target.gaps:
        gap = track.gap_at(at_s)
        verdict = against(None if gap is None else 100 * gap, 100 * most, "points", 2)
        rows.append([name, f"gap after {at_s:g} s", share(most), f"{percent(gap)} %", verdict])
    if target.most_mb is not None:
        verdict = against(record.peak_mb / 1000, target.most_mb / 1000, "GB", 2)
        rows.append(
            [name, "memory", f"{target.most_mb / 1000:g} GB", memory(record.peak_mb), verdict]
        )
    return rows


def _detail(name: str, track: Track, record: Record) -> list[str]:
    within = [
        f"{seconds(track.plan_within_s(most))} ({share(most)})" for _, most in TARGETS[name].gaps
    ]
    end = track.end
    return [
        name,
        seconds(track.first_plan_s()),
        ", ".join(within),
        seconds(end.seconds),
        eur(end.best_eur),
        eur(end.bound_eur),
        percent(track.gap_at(end.seconds)),
        number(track.n_unserved),
        memory(record.peak_mb),
        verified(track.breaches),
    ]


PHASES = {
    "draw": "making the problem",
    "build": "building the master, and a first plan",
    "price": "prices and bound",
    "insert": "putting jobs in at these prices",
    "columns": "the LP of the columns (master)",
    "search": "search",
    "prove": "choosing among all that is left",
    "flows": "flows, and reading the plan",
    "verify": "verifying once more",
}


def phases(scale: Scale, records: Records) -> str:
    """Table of where the time went, from the runs of the first table."""
    columns: dict[str, dict[str, float]] = {}
    for name in scale.sizes:
        record = records.read(f"reference-{name}")
        if record is not None and record.value is not None:
            track = Track.of(record.value)
            ends = {"draw": track.draw_s, "verify": track.verify_s}
            columns[name] = track.phase_seconds() | ends
    known = set(PHASES).union(*columns.values())
    rows = [
        [PHASES.get(phase, phase), *(seconds(spent.get(phase)) for spent in columns.values())]
        for phase in [*PHASES, *sorted(known - set(PHASES))]
    ]
    note = """
        The search takes what time is left. Problems are made, and plans verified once more, outside
        the seconds of table A."""
    return f"""\
### D. Where the time goes [s]

{table(("Phase", *columns), rows)}

{paragraph(note)}"""
