"""One policy played in a process of its own, with a line of progress for each day."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from benchmarks.rolling_backtest.instance import PLANTS, Settings, scene_of
from benchmarks.rolling_backtest.policies import policy_of
from benchmarks.rolling_backtest.signals import read_signals
from scheduler.backtest.keeping import Folder, play_kept

HOURS_IN_CHAPTER = 24


def play_policy(data: Path, settings: Settings, name: str, folder: Path) -> None:
    """Play what is left of one policy; a line for each day."""
    for line in _played(data, settings, name, folder):
        print(line, flush=True)


def _played(data: Path, settings: Settings, name: str, folder: Path) -> Iterator[str]:
    scene = scene_of(data, settings)
    signals = read_signals(data, PLANTS, settings.begin, settings.end)
    every = timedelta(hours=settings.every_hours)
    policy = policy_of(name, signals, scene.fleet, every)
    began, n_done = time.monotonic(), 0
    n_all = -(-(scene.end - scene.begin) // policy.every)
    n_in_chapter = timedelta(hours=HOURS_IN_CHAPTER) // policy.every
    for kept in play_kept(scene, policy, Folder(folder), n_in_chapter):
        n_done += n_in_chapter
        n_rounds = kept.state.n_rounds
        per_round_s = (time.monotonic() - began) / n_done
        left = timedelta(seconds=round(per_round_s * (n_all - n_rounds)))
        yield (
            f"{name}: {kept.state.world.now:%Y-%m-%d}, round {n_rounds} of {n_all},"
            f" {len(kept.state.world.jobs)} jobs open, {per_round_s:.1f} s a round, {left} to go"
        )
