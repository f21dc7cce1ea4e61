"""Possible calls priced in a child process: it is bounded in time, and killed past its bound."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TypeVar, cast

from optimizer import (
    CallPrice,
    EventReport,
    LevelCall,
    Plan,
    Problem,
    SolveLimits,
    event_report,
    net_import_kw,
    price_call,
    solve,
    without_event,
)

Q = TypeVar("Q")
A = TypeVar("A")

OVERRUN_S = 30.0
"""A child has its time limit and so long for starting, building and answering."""

LEAST_S = 0.5
"""With less time left than this for a solve, a call is not priced."""

_KILL_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class AskedCall:
    """Slots [start_slot, end_slot) of ``sites``, and how they are to draw.

    Exactly one is given: ``limit_kw``, at most so much; ``drop_kw``, at most so much less than is
    planned in the slot that draws least; ``share``, more by this share of the room there is in
    every slot, or less by this share of what every slot draws.
    """

    sites: tuple[str, ...]
    start_slot: int
    end_slot: int
    limit_kw: float | None = None
    drop_kw: float | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the rest of a plan. ``held`` is the plan in force in its slots."""

    problem: Problem
    held: Plan | None
    calls: tuple[AskedCall, ...]
    time_limit_s: float
    mip_gap: float


@dataclass(frozen=True, slots=True)
class PricedCall:
    """A call, the levels it came to, and its price; ``None``: there was no time to find one."""

    planned_kw: tuple[float, ...]
    level_kw: tuple[float, ...]
    price: CallPrice | None


@dataclass(frozen=True, slots=True)
class Priced:
    """Every call in order. ``is_held``: power is that of the plan in force, which still holds."""

    calls: tuple[PricedCall, ...]
    is_held: bool
    reference_gap: float | None


@dataclass(frozen=True, slots=True)
class ReportQuestion:
    """Who answers ``call`` in ``plan``, and at what cost, is asked."""

    problem: Problem
    plan: Plan
    call: str
    time_limit_s: float
    mip_gap: float


@dataclass(frozen=True, slots=True)
class Reported:
    """The report, and how far the plan without the call may be from the best; ``None``: unknown."""

    report: EventReport
    without_gap: float | None


class PricingFailed(Exception):
    """The child ended without an answer: it crashed, was killed, or took too long."""


def price(question: Question) -> Priced:
    """Price every call, within the time limit in sum; the plan without them is found first."""
    began = time.monotonic()
    share_s = question.time_limit_s / (len(question.calls) + 1)
    limits = SolveLimits(share_s, question.mip_gap)
    reference = solve(question.problem, limits, warm_start=question.held, clock=time.monotonic)
    shown = reference if question.held is None else question.held
    told = []
    for k, call in enumerate(question.calls):
        left_s = question.time_limit_s - (time.monotonic() - began)
        allowed_s = left_s / (len(question.calls) - k)
        told.append(_priced(question, call, reference, shown, allowed_s))
    return Priced(tuple(told), question.held is not None, reference.gap)


def report(question: ReportQuestion) -> Reported:
    """Plan as if the call had not come, from the plan there is, and compare."""
    limits = SolveLimits(question.time_limit_s, question.mip_gap)
    before = without_event(question.problem, question.call)
    free = solve(before, limits, warm_start=question.plan, clock=time.monotonic)
    found = event_report(question.problem, question.plan, free, question.call)
    return Reported(found, free.gap)


def price_in_child(question: Question) -> Priced:
    """Do ``price`` in a process of its own; raises ``PricingFailed`` without an answer in time."""
    return _in_child(price, question, question.time_limit_s)


def report_in_child(question: ReportQuestion) -> Reported:
    """Do ``report`` in a process of its own; raises ``PricingFailed`` without an answer in time."""
    return _in_child(report, question, question.time_limit_s)


def _in_child(work: Callable[[Q], A], question: Q, time_limit_s: float) -> A:
    context = multiprocessing.get_context("spawn")
    pipe, far_end = context.Pipe()
    child = context.Process(target=_child_main, args=(far_end, work), daemon=True)
    child.start()
    far_end.close()
    try:
        pipe.send(question)
        if not pipe.poll(time_limit_s + OVERRUN_S):
            raise PricingFailed(f"no answer within {time_limit_s + OVERRUN_S:g} s")
        answer = pipe.recv()
    except (EOFError, OSError) as error:
        raise PricingFailed(f"the process that prices calls ended: {error!r}") from error
    finally:
        child.kill()
        child.join(_KILL_WAIT_S)
        pipe.close()
    if isinstance(answer, str):
        raise PricingFailed(answer)
    return cast("A", answer)


def _priced(
    question: Question, call: AskedCall, reference: Plan, shown: Plan, allowed_s: float
) -> PricedCall:
    planned = net_import_kw(shown, call.sites)[call.start_slot : call.end_slot].tolist()
    level = _levels(question.problem, call, planned)
    found = None
    is_up = (call.share or 0.0) > 0
    # More is asked for by way of the price of energy, which must count for something.
    if allowed_s >= LEAST_S and (question.problem.weights.energy > 0 or not is_up):
        asked = LevelCall(call.sites, call.start_slot, level, is_up)
        limits = SolveLimits(allowed_s, question.mip_gap)
        found = price_call(question.problem, reference, asked, limits, time.monotonic)
    return PricedCall(tuple(planned), level, found)


def _levels(problem: Problem, call: AskedCall, planned_kw: list[float]) -> tuple[float, ...]:
    least_kw = max(0.0, min(planned_kw))
    if call.limit_kw is not None:
        return (call.limit_kw,) * len(planned_kw)
    if call.drop_kw is not None:
        return (max(0.0, least_kw - call.drop_kw),) * len(planned_kw)
    share = call.share or 0.0
    if share <= 0:
        return tuple(max(0.0, kw + share * least_kw) for kw in planned_kw)
    rated = [
        sum(problem.site(name).grid.import_limit_kw[slot] for name in call.sites)
        for slot in range(call.start_slot, call.end_slot)
    ]
    room_kw = max(0.0, min(most - kw for most, kw in zip(rated, planned_kw, strict=True)))
    return tuple(max(0.0, kw + share * room_kw) for kw in planned_kw)


def _child_main(pipe: Connection, work: Callable[[Q], A]) -> None:
    try:
        answer: A | str = work(cast("Q", pipe.recv()))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        answer = f"calls could not be priced: {type(error).__name__}: {error}"
    pipe.send(answer)
