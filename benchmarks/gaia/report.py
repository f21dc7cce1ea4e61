"""The tables of GAIA's week, and their section in RESULTS.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.gaia.outcomes import IN_ONE_PIECE, PLANNED, Outcome
from benchmarks.gaia.week import PUBLISHED, PUBLISHED_KG
from benchmarks.section import write_section

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
COMMAND = "python -m benchmarks.gaia --write"
WORDS = {
    "run_now": "run-now",
    "lowest_slot": "Lowest-Slot",
    "carbon_time": "Carbon-Time",
    "lowest_window": "Lowest-Window",
    "suspend_resume": "Ecovisor, by threshold",
    "lowest_window, true lengths": "Lowest-Window, true lengths",
    "wait_awhile": "Wait Awhile, suspended at will",
    "carbon_scaler": "CarbonScaler",
    "caspian": "after Caspian",
    IN_ONE_PIECE: "**planned, in one piece**",
    PLANNED: "**planned**",
}
OF_PLANNER = {IN_ONE_PIECE: "lowest_window, true lengths", PLANNED: "wait_awhile"}
HEAD = """\
1,000 jobs of a week in South Australia, as GAIA (ASPLOS 2024) schedules them: its policies as ours,
settled like plans, and the planner. What the week is: [week.py](gaia/week.py)."""
WITHOUT = """\
The same week without GAIA's assumptions, in slots of a quarter of an hour; what each column says:
[conditions.py](gaia/conditions.py). Every policy has the same CPUs, knows true lengths, and is
settled by the same function; all plans are verified."""
NOTES = """\
- *Wait* is how much later a job is done than if it had started when it came; mean, and 95th
  percentile.
- Where CPUs are scarce, a job that waits may find none before its deadline. What it would have
  emitted is missing from a policy's sum, so carbon is told per CPU-hour done.
- Only what is named *planned* and *after Caspian* decides for all jobs together. The others take
  each in order of its coming, and see what the ones before left."""
SOURCES = """\
Data: jobs from umassos/GAIA (MIT; Alibaba PAI); carbon intensity from
umassos/decarbonization-potential (Apache-2.0; Electricity Maps, ODbL); prices from
HewlettPackard/sustain-cluster (MIT; market operators upstream)."""


def reproduced(found: Mapping[str, float]) -> str:
    """Return the table of published figures and ours [kg], by policy."""
    lines = [
        "| | Published, relative | Ours, relative | Ours [kg] | Difference |",
        "| :--- | ---: | ---: | ---: | ---: |",
    ]
    for name, kg in found.items():
        ours = kg / PUBLISHED_KG
        published = PUBLISHED.get(name) or PUBLISHED[OF_PLANNER[name]]
        lines.append(
            f"| {WORDS[name]} | {published:.6f} | {ours:.6f} | {kg:.3f} | {ours - published:+.6f} |"
        )
    return "\n".join(lines)


def without(columns: Mapping[str, Sequence[Outcome]], priced: str) -> str:
    """Return the tables of all conditions; of ``priced`` the money as well."""
    carbon = _matrix(columns, lambda one: f"{one.g_per_cpu_hour:.1f}")
    wait = _matrix(columns, lambda one: "{:.1f}, {:.1f}".format(*one.wait_hours))
    left_out = _matrix(columns, lambda one: f"{one.n_left_out}")
    parts = ["Carbon [g/CPU-h]:", carbon, "Wait [h]:", wait, "Jobs left out:", left_out]
    if priced in columns:
        parts += [f"Money and carbon (*{priced}*):", _money(columns[priced])]
    gaps = _gaps(columns)
    return "\n\n".join(parts if not gaps else [*parts, gaps])


def _matrix(columns: Mapping[str, Sequence[Outcome]], cell: Callable[[Outcome], str]) -> str:
    lines = ["| | " + " | ".join(columns) + " |", "| :--- |" + " ---: |" * len(columns)]
    names = [one.name for one in next(iter(columns.values()))]
    for row, name in enumerate(names):
        cells = (cell(outcomes[row]) for outcomes in columns.values())
        lines.append(f"| {WORDS[name]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _money(outcomes: Sequence[Outcome]) -> str:
    lines = [
        "| | Money [EUR] | Carbon [kg] | Money and carbon at 80 EUR/t [EUR/CPU-h] | Left out |",
        "| :--- | ---: | ---: | ---: | ---: |",
    ]
    for one in outcomes:
        both = (one.money_eur + 0.08 * one.carbon_kg) / one.cpu_hours
        lines.append(
            f"| {WORDS[one.name]} | {one.money_eur:,.1f} | {one.carbon_kg:,.1f} | {both:.4f}"
            f" | {one.n_left_out} |"
        )
    return "\n".join(lines)


def _gaps(columns: Mapping[str, Sequence[Outcome]]) -> str:
    said = [
        f"{name} {100 * one.gap:.2f} % after {one.seconds:.0f} s"
        for name, outcomes in columns.items()
        for one in outcomes
        if one.name == PLANNED and one.gap is not None
    ]
    return f"Proven gaps of *planned*, and CPU time: {'; '.join(said)}." if said else ""


def write_published(found: Mapping[str, float]) -> None:
    """Write the section of what was published."""
    title = "## GAIA's week: its policies, and the planner"
    _write(f"{COMMAND} --part published", title, HEAD, reproduced(found))


def write_without(columns: Mapping[str, Sequence[Outcome]], priced: str) -> None:
    """Write the section of what was dropped, as far as it goes."""
    title = "### The same week without GAIA's assumptions"
    _write(f"{COMMAND} --part without", title, WITHOUT, without(columns, priced), NOTES, SOURCES)


def _write(command: str, title: str, *parts: str) -> None:
    text = "\n\n".join((title, parts[0], f"```\n{command}\n```", *parts[1:]))
    write_section(RESULTS, text, command)
