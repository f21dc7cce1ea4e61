"""One case played to its end, settled and written down; in a process of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scheduler.backtest.forecast_quality import ForecastScore, forecast_scores
from scheduler.backtest.keeping import play_kept, write_whole
from scheduler.backtest.outcome import Played, Settled, settled, settled_run_now
from scheduler.backtest.policies import POLICIES, Means, plain
from scheduler.backtest.policy import Policy
from scheduler.backtest.truth import assembled_truth
from scheduler.backtest.world import Past
from scheduler.policies import UnknownPolicy, policy_named
from scheduler.specs.backtest import PolicySpec
from scheduler.sweep.cases import Case
from scheduler.sweep.drawing import Drawn, draw
from scheduler.sweep.inputs import RUN_NOW, SweepInputs
from scheduler.sweep.processes import Tell
from scheduler.sweep.result import RESULT, About, result_of, tables_of

KEPT_EVERY = timedelta(hours=24)
_FORESEES = ("perfect", "true_signals")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a case is: so many of its rounds, at ``now`` of its own time."""

    n_rounds: int
    n_all: int
    now: datetime
    n_open: int


def policy_of(spec: PolicySpec, means: Means) -> Policy:
    """Make a policy of its name: one of our plans, or one that ``policy_named`` knows.

    Raises
    ------
    UnknownPolicy
        Nobody knows it.
    """
    if spec.use in POLICIES:
        return POLICIES[spec.use](means)
    return plain(spec.label, policy_named(spec.use), means)


def require_known(spec: PolicySpec) -> None:
    """Refuse a policy that nobody knows.

    Raises
    ------
    UnknownPolicy
        Names it, and those that there are.
    """
    if spec.use in POLICIES:
        return
    try:
        policy_named(spec.use)
    except UnknownPolicy as error:
        raise UnknownPolicy(f"{error}; or a plan of ours: {', '.join(POLICIES)}") from error


def play_case(tell: Tell, inputs: SweepInputs, case: Case) -> None:
    """Play what is left of a case, settle it and write down what it came to.

    Raises
    ------
    ValueError
        Its inputs contradict each other; names what.
    """
    inputs = _for_policy(inputs, case.policy)
    drawn = draw(inputs, case.region, case.seed)
    truth = assembled_truth(drawn.scene, drawn.signals.truth)
    if case.policy.use == RUN_NOW:
        done, played = settled_run_now(truth.problem), None
    else:
        played = _played(tell, inputs, case, drawn)
        done = settled(drawn.scene, truth.problem, played)
    scores = _forecast_scores(inputs, case, drawn)
    about = About(
        case.region.name, case.seed, case.policy.label, drawn.n_outside, truth.marks, scores
    )
    _write(case, drawn, done, played, about)


def _for_policy(inputs: SweepInputs, policy: PolicySpec) -> SweepInputs:
    """Return inputs with what the policy says of itself in the place of what the backtest says."""
    own = {
        name: value
        for name in ("every_hours", "time_limit_s")
        if (value := getattr(policy, name)) is not None
    }
    return replace(inputs, spec=inputs.spec.model_copy(update=own))


def _policy(inputs: SweepInputs, case: Case, drawn: Drawn) -> Policy:
    every = timedelta(hours=inputs.spec.every_hours)
    means = Means(drawn.signals, drawn.scene.fleet, every, time.process_time)
    return policy_of(case.policy, means)


def _forecast_scores(inputs: SweepInputs, case: Case, drawn: Drawn) -> tuple[ForecastScore, ...]:
    """Tell how wrong the policy was told signals; nothing of one that asks for no forecast."""
    if case.policy.use in (RUN_NOW, *_FORESEES):
        return ()
    policy = _policy(inputs, case, drawn)
    return forecast_scores(drawn.scene, policy, drawn.signals.truth)


def _played(tell: Tell, inputs: SweepInputs, case: Case, drawn: Drawn) -> Played:
    policy, scene = _policy(inputs, case, drawn), drawn.scene
    n_all = -(-(scene.end - scene.begin) // policy.every)
    for kept in play_kept(scene, policy, case.folder, max(1, KEPT_EVERY // policy.every)):
        world = kept.state.world
        tell(Progress(kept.state.n_rounds, n_all, world.now, len(world.jobs)))
    return case.folder.read_played()


def _write(case: Case, drawn: Drawn, done: Settled, played: Played | None, about: About) -> None:
    past = Past() if played is None else played.past
    rounds = () if played is None else played.rounds
    case.path.mkdir(parents=True, exist_ok=True)
    for name, frame in tables_of(drawn.scene, done, past, rounds, about).items():
        write_whole(case.path / f"{name}.parquet", frame.to_parquet)
    result = RESULT.dump_json(result_of(drawn.scene, done, past, about))
    write_whole(case.result_file, lambda beside: beside.write_bytes(result))
