"""Replay July to December 2021 under several policies: ``make bench-rolling``.

Each policy is played in a process of its own, ``--processes`` of them at once, and kept in a folder
under ``--out`` that tells the instance apart: interrupted, the same command goes on. What is done
is settled, printed, and with ``--write`` put into RESULTS.md.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

from benchmarks.rolling_backtest.instance import FIRST_DAY, PLANTS, Settings, fleet_of
from benchmarks.rolling_backtest.outcome import outcome_of, run_now_outcome
from benchmarks.rolling_backtest.playing import play_policy
from benchmarks.rolling_backtest.policies import POLICIES
from benchmarks.rolling_backtest.report import markdown, write
from scheduler.backtest.keeping import Folder

STATED = {"stated": (1.0, 2.5), "exact": (1.0, 1.0)}


def main() -> None:
    """Play what is left, and tell what is there."""
    arguments = _arguments()
    data = os.environ.get("GRIDTIDE_DATA")
    if not data:
        sys.exit("GRIDTIDE_DATA is not set: it names the folder with sites/ and jobs/")
    settings = _settings(arguments)
    place = arguments.out / fingerprint(settings)
    place.mkdir(parents=True, exist_ok=True)
    (place / "settings.txt").write_text(f"{settings}\n", encoding="utf-8")
    if not arguments.report:
        _play_all(Path(data), settings, place, arguments)
    outcomes = {"run_now": run_now_outcome(Path(data), settings)}
    for name in arguments.policies:
        if Folder(place / name).read_state() is not None:
            outcomes[name] = outcome_of(Path(data), settings, Folder(place / name))
    print(markdown(settings, outcomes))
    if arguments.write:
        write(settings, outcomes)


def fingerprint(settings: Settings) -> str:
    """Name the folder of an instance: of what it is drawn from, and of its fleet."""
    whole = f"{settings} {PLANTS} {fleet_of(settings).model_dump_json(exclude_unset=True)}"
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Rolling backtest on public data of 2021.")
    parser.add_argument("--from-day", type=int, default=0, help="days after the 1st of July")
    parser.add_argument("--days", type=int, help="how many; all there are if not given")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=list(POLICIES)[:3])
    parser.add_argument("--lengths", choices=STATED, default="stated")
    parser.add_argument("--carbon-price", type=float, default=80.0, help="EUR/t")
    parser.add_argument("--every-hours", type=float, default=6.0, help="from plan to plan")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/rolling_backtest"))
    parser.add_argument("--report", action="store_true", help="play nothing, tell what is there")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    return parser.parse_args()


def _settings(arguments: argparse.Namespace) -> Settings:
    begin = FIRST_DAY + timedelta(days=arguments.from_day)
    settings = Settings(
        begin=begin,
        seed=arguments.seed,
        stated_factors=STATED[arguments.lengths],
        carbon_eur_per_t=arguments.carbon_price,
        every_hours=arguments.every_hours,
    )
    if arguments.days is None:
        return settings
    return replace(settings, end=min(settings.end, begin + timedelta(days=arguments.days)))


def _play_all(data: Path, settings: Settings, place: Path, arguments: argparse.Namespace) -> None:
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        playing = [
            pool.submit(play_policy, data, settings, name, place / name)
            for name in arguments.policies
        ]
        try:
            for done in as_completed(playing):
                done.result()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            sys.exit("interrupted; the same command goes on from the last day kept")


if __name__ == "__main__":
    main()
