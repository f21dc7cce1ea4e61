from __future__ import annotations

import os
import time

from benchmarks.apart import Outcome, run_apart


def run(name: str, *arguments: int, allowed_s: float = 30.0, most_mb: float = 1000.0) -> Outcome:
    """Run one of the functions of ``behaviour``."""
    function = f"tests.benchmarks.behaviour:{name}"
    return run_apart(function, *arguments, allowed_s=allowed_s, most_mb=most_mb)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet taken note of does not."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_value_comes_back_with_its_memory() -> None:
    """The peak is that of the process itself: a bare Python, not this one."""
    outcome = run("double", 21)
    assert (outcome.value, outcome.failure) == (42, None)
    assert 5.0 < outcome.peak_mb < 100.0


def test_what_cannot_be_measured_says_why() -> None:
    """By its own words, or by the last thing it was at."""
    assert run("find_nothing").failure == "no plan found"
    assert run("die").failure == "dying: ended with 3"


def test_what_takes_too_long_is_ended_with_all_it_started() -> None:
    """Left alone, both processes would sleep for a minute."""
    outcome = run("sleep_with_child", allowed_s=1.5)
    assert outcome.value is None
    assert outcome.failure is not None
    pid, _, why = outcome.failure.partition(": ")
    assert why == "not done after 2 s"
    until = time.monotonic() + 5.0
    while is_alive(int(pid)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(int(pid))


def test_what_takes_too_much_memory_is_ended() -> None:
    """And says how much it had."""
    outcome = run("hoard", most_mb=300.0)
    assert outcome.failure == "hoarding: took more than 0.3 GB"
    assert outcome.peak_mb > 300.0
