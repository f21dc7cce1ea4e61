"""The driver's counters of energy: what is drawn between two readings is in the second one."""

from __future__ import annotations

import pytest

from connectors.power.nvml import LONGEST_MEAN_S, NvmlPower
from tests.peers.nvml import FakeNvml


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """Two GPUs of one machine, at 100 W each."""
    return FakeNvml({"here": {0: 100.0, 1: 100.0}}, monkeypatch)


@pytest.fixture
def source(gpus: FakeNvml) -> NvmlPower:
    """Who reads them, by their clock."""
    return NvmlPower(2, gpus.clock)


async def test_what_was_drawn_between_two_readings_is_in_the_second(
    gpus: FakeNvml, source: NvmlPower
) -> None:
    """A minute at 100 W and 400 W, half of it each: the mean, though it draws 400 W now."""
    await source.read()
    gpus.let_pass(30)
    gpus.set_watts("here", 1, 400.0)
    gpus.let_pass(30)
    assert (await source.read()).kw == pytest.approx(0.1 + 0.25)


async def test_readings_that_follow_at_once_take_nothing_from_the_next(
    gpus: FakeNvml, source: NvmlPower
) -> None:
    """They say what is drawn now, and the minute is still a whole one."""
    await source.read()
    gpus.let_pass(5)
    gpus.set_watts("here", 0, 700.0)
    assert (await source.read()).kw == pytest.approx(0.8)
    gpus.let_pass(55)
    assert (await source.read()).kw == pytest.approx(0.1 + (5 * 0.1 + 55 * 0.7) / 60)


async def test_what_is_long_ago_says_nothing_of_now(gpus: FakeNvml, source: NvmlPower) -> None:
    """Nobody read for hours: it draws what it draws, and a minute later has a mean again."""
    await source.read()
    gpus.let_pass(LONGEST_MEAN_S + 1)
    gpus.set_watts("here", 0, 300.0)
    assert (await source.read()).kw == pytest.approx(0.4)
    gpus.let_pass(60)
    gpus.set_watts("here", 0, 500.0)
    assert (await source.read()).kw == pytest.approx(0.4)


async def test_a_driver_that_was_loaded_anew_counts_from_zero(
    gpus: FakeNvml, source: NvmlPower
) -> None:
    """And is no GPU that gave energy back."""
    gpus.let_pass(600)
    await source.read()
    gpus.load_driver_anew()
    gpus.let_pass(60)
    gpus.set_watts("here", 0, 200.0)
    assert (await source.read()).kw == pytest.approx(0.3)


async def test_a_gpu_that_moves_up_keeps_its_own_counter(gpus: FakeNvml, source: NvmlPower) -> None:
    """Not that of the one which was there before it."""
    gpus.set_watts("here", 1, 400.0)
    gpus.let_pass(600)
    await source.read()
    gpus.remove("here", 0)
    gpus.let_pass(60)
    gpus.set_watts("here", 1, 300.0)
    assert (await source.read()).kw == pytest.approx(0.4)


async def test_a_gpu_that_counts_nothing_says_what_it_draws(
    gpus: FakeNvml, source: NvmlPower
) -> None:
    """As those before Volta do."""
    gpus.counts_energy = False
    await source.read()
    gpus.let_pass(60)
    gpus.set_watts("here", 0, 300.0)
    found = await source.read()
    assert (found.kw, found.gpus, found.silent) == (pytest.approx(0.4), 2, ())
