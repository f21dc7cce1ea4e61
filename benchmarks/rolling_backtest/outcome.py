"""What came of one policy on this instance, settled by the engine."""

from __future__ import annotations

from pathlib import Path

from benchmarks.rolling_backtest.instance import PLANTS, Settings, scene_of
from benchmarks.rolling_backtest.signals import read_signals
from optimizer import Problem
from scheduler.backtest.keeping import Folder
from scheduler.backtest.outcome import Outcome, settled, settled_run_now
from scheduler.backtest.truth import true_problem
from scheduler.backtest.world import Scene

__all__ = ["Outcome", "outcome_of", "run_now_outcome"]


def outcome_of(data: Path, settings: Settings, folder: Folder) -> Outcome:
    """Settle what a folder holds."""
    played = folder.read_played()
    scene, problem = _problem(data, settings)
    return settled(scene, problem, played).outcome


def run_now_outcome(data: Path, settings: Settings) -> Outcome:
    """Settle run-now: every job as soon as GPUs are free, lengths known, batteries idle."""
    _, problem = _problem(data, settings)
    return settled_run_now(problem).outcome


def _problem(data: Path, settings: Settings) -> tuple[Scene, Problem]:
    scene = scene_of(data, settings)
    truth = read_signals(data, PLANTS, settings.begin, settings.end).truth
    return scene, true_problem(scene, truth)
