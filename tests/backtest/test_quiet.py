"""Steps that are passed over are steps in which nothing would have happened."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from scheduler.backtest import carrying_out
from scheduler.backtest.world import STEP, Failure
from tests.backtest.small import GPUS, as_if_known, played, policy, scene, some_jobs, truth
from tests.services.builders import START


@pytest.mark.parametrize("seed", range(4))
def test_who_looks_at_every_step_sees_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs, ends, batteries and losses are the same, with jobs of wrong lengths and a failure."""
    failure = Failure(
        "DE", "a100", GPUS, START + timedelta(hours=5), START + timedelta(hours=7, minutes=25)
    )
    day = replace(scene(some_jobs(seed, 8, stated=(0.5, 2.0))), failures=(failure,))
    rules = policy(as_if_known(truth(seed)), 6)
    state, past, _ = played(day, rules)

    def at_every_step(now: Any, *_rest: Any) -> Any:
        return now + STEP

    monkeypatch.setattr(carrying_out, "next_look", at_every_step)
    assert played(day, rules)[:2] == (state, past)
    assert past.runs
