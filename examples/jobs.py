"""The sixty jobs of the example day, of every kind Gridtide knows.

===========  ==  ==========================================================================
family        n  what it shows
===========  ==  ==========================================================================
pretrain      6  large, pausable: pieces of two hours, each restart costs an hour and 2 kWh
finetune     14  in one piece, at any of three sites on two GPU models
lora         10  short, small, some of it urgent
sweep         4  elastic: may change its power cap from slot to slot
capped       12  in one piece, but slower and cooler at a lower cap if that pays
evaluate      8  each after a finetune; late results cost money
embed         6  low priority, pausable, its data is at one of two sites, or brought to the other
===========  ==  ==========================================================================

Power per GPU includes its share of the host. Speeds are relative to the same number of H100s
without a cap; caps cost less speed than they save power, as measured for training everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

JobDict = dict[str, Any]

# What is really copied where 600 GB are planned to move: the files of this folder.
TEXTS = Path(__file__).resolve().parent
BRING = 'cp -r "$GRIDTIDE_DATA_PATH/." "$GRIDTIDE_DATA_DIR"'

# (cap [W] or None, kW per GPU with its share of the host, speed)
H100 = ((None, 1.0, 1.0), (500, 0.8, 0.92), (400, 0.68, 0.82))
A100 = ((None, 0.62, 0.55), (300, 0.5, 0.5))


def points(pool: str, gpus: int, *, with_caps: bool = False) -> list[JobDict]:
    """Operating points on ``gpus`` GPUs of a pool; without caps only the fastest."""
    table = H100 if pool == "h100" else A100
    return [
        {"pool": pool, "gpus": gpus, "kw": round(kw * gpus, 3), "speed": speed}
        | ({} if cap is None else {"power_cap_w": cap})
        for cap, kw, speed in (table if with_caps else table[:1])
    ]


class Day:
    """Draws jobs for one day from ``start`` on, with the shared fields every job has."""

    def __init__(
        self, start: datetime, program: list[str], seconds_per_hour: float, seed: int
    ) -> None:
        self._start = start
        self._program = program
        self._seconds_per_hour = seconds_per_hour
        self._rng = np.random.default_rng(seed)

    def hours(self, low: int, high: int) -> float:
        """Draw a whole number of hours between two bounds, both possible."""
        return float(self._rng.integers(low, high + 1))

    def at(self, hour: float) -> str:
        """Write the instant ``hour`` hours into the day."""
        return (self._start + timedelta(hours=hour)).isoformat().replace("+00:00", "Z")

    def choose(self, options: list[Any]) -> Any:
        """Draw one of ``options``."""
        return options[int(self._rng.integers(len(options)))]

    def job(
        self,
        name: str,
        operating_points: list[JobDict],
        work_hours: float,
        *,
        release: float,
        slack: float,
        **others: Any,
    ) -> JobDict:
        """Describe a job that may start ``release`` hours into the day.

        Its deadline leaves ``slack`` hours beyond its length at its first operating point, and is
        at the end of the day at the latest.
        """
        length = work_hours / operating_points[0]["speed"]
        return {
            "name": name,
            "tenant": name.partition("-")[0],
            "work_hours": work_hours,
            "operating_points": operating_points,
            "release_at": self.at(release),
            "deadline_at": self.at(min(24.0, release + length + slack)),
            "command": [*self._program, f"{work_hours * self._seconds_per_hour:g}"],
            "checkpoint_grace_s": 5.0,
        } | others


def pretrain(day: Day) -> Iterator[JobDict]:
    """Large and pausable, on H100s; two are ready at once."""
    pausing = {
        "min_run_minutes": 120,
        "restart_minutes": 60,
        "restart_kwh": 2.0,
        "restart_eur": 0.5,
        "max_pauses": 2,
    }
    for number in range(6):
        yield day.job(
            f"pretrain-{number}",
            points("h100", 8),
            day.hours(6, 11),
            release=0 if number < 2 else day.hours(0, 6),
            slack=14,
            value_eur=900.0,
            pausing=pausing,
        )


def finetune(day: Day) -> Iterator[JobDict]:
    """In one piece, wherever there is room."""
    for number in range(14):
        gpus = day.choose([4, 6])
        yield day.job(
            f"finetune-{number}",
            points("h100", gpus) + points("a100", gpus),
            day.hours(3, 7),
            release=0 if number < 3 else day.hours(0, 8),
            slack=day.hours(6, 12),
            priority=day.choose(["normal", "normal", "high"]),
        )


def lora(day: Day) -> Iterator[JobDict]:
    """Short and small; every fifth is urgent and has little slack."""
    for number in range(10):
        is_urgent = number % 5 == 0
        yield day.job(
            f"lora-{number}",
            points("a100", day.choose([2, 4])) + points("h100", 2),
            day.hours(1, 2),
            release=0 if number < 2 else day.hours(0, 14),
            slack=2 if is_urgent else day.hours(4, 8),
            priority="urgent" if is_urgent else "normal",
        )


def sweep(day: Day) -> Iterator[JobDict]:
    """Elastic: full speed while power is cheap, a low cap while it is dear."""
    for number in range(4):
        yield day.job(
            f"sweep-{number}",
            points("h100", 6, with_caps=True),
            day.hours(4, 7),
            release=0 if number < 2 else day.hours(0, 6),
            slack=day.hours(6, 10),
            sites=[day.choose(["frankfurt", "fresno"])],
            is_elastic=True,
        )


def capped(day: Day) -> Iterator[JobDict]:
    """In one piece at one cap for all of it; which one is for the plan to say."""
    for number in range(12):
        pool = "h100" if number % 2 == 0 else "a100"
        yield day.job(
            f"capped-{number}",
            points(pool, 6, with_caps=True),
            day.hours(3, 6),
            release=day.hours(0, 8),
            slack=day.hours(6, 10),
            priority=day.choose(["low", "normal"]),
        )


def evaluate(day: Day, trained: list[JobDict]) -> Iterator[JobDict]:
    """After a finetune; a result is wanted by its deadline and costs for each hour it is later."""
    for number, before in enumerate(trained):
        yield day.job(
            f"evaluate-{number}",
            points("a100", 4) + points("h100", 2),
            0.5,
            release=0,
            slack=24,
            after=[before["name"]],
            due_at=before["deadline_at"],
            lateness_eur_per_hour=3.0,
        )


def embed(day: Day) -> Iterator[JobDict]:
    """Low priority and pausable; running it away from its data means moving that first."""
    for number in range(6):
        yield day.job(
            f"embed-{number}",
            points("a100", 8),
            day.hours(2, 4),
            release=day.hours(0, 6),
            slack=14,
            priority="low",
            pausing={"min_run_minutes": 60, "restart_kwh": 0.5},
            data={
                "site": day.choose(["frankfurt", "buffalo"]),
                "size_gb": 600.0,
                "path": str(TEXTS),
                "command": ["sh", "-c", BRING],
            },
        )


def jobs(start: datetime, program: list[str], seconds_per_hour: float, seed: int) -> list[JobDict]:
    """All jobs of the example day, which starts at ``start`` (UTC).

    Each runs ``program`` with the seconds it shall work: ``seconds_per_hour`` for an hour of work.
    """
    day = Day(start, program, seconds_per_hour, seed)
    tuned = list(finetune(day))
    return [
        *pretrain(day),
        *tuned,
        *lora(day),
        *sweep(day),
        *capped(day),
        *evaluate(day, tuned[:8]),
        *embed(day),
    ]
