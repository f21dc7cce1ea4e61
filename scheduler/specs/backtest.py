"""A backtest as a person writes it: what is replayed, under which policies, how often."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from scheduler.specs.base import YEAR_HOURS, Instant, Name, Positive, Spec, Text, require_unique

LONGEST = timedelta(days=5 * 366)
MOST_CASES = 10_000

FilePath = Annotated[Text, Field(min_length=1, max_length=1000)]
"""Of a file; where it is not absolute, beside the file that names it."""

Hours = Annotated[float, Field(gt=0, le=YEAR_HOURS)]
LocalTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
UseName = Annotated[
    Text, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z_][\w.]*(:[A-Za-z_]\w*)?$")
]
"""A policy by its name, or a function of one's own as ``module:function``."""


class SignalsSpec(Spec):
    """Where signals come from: files in long form, or everything the store ever knew.

    ``prices_known_at``: the local time of the day before at which prices of a day are known that
    do not say since when they are; of all else such a value is known at the end of its interval.
    """

    files: Annotated[tuple[FilePath, ...], Field(max_length=1000)] = ()
    store: bool = False
    prices_known_at: LocalTime = "12:45"

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if bool(self.files) == self.store:
            raise ValueError("signals: give files or store = true, and not both")
        return self


class BacktestJobsSpec(Spec):
    """The table of jobs, and what is made of columns that it has not.

    Attributes
    ----------
    sample
        So many of its jobs are drawn by the seed; ``None``: all.
    stated_factor
        A job that states no length states its true one times a factor drawn between these.
    slack_hours
        A job without a deadline is due so long after the earliest that its stated length can end.
    """

    file: FilePath
    sample: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    stated_factor: tuple[Positive, Positive] = (1.0, 1.0)
    slack_hours: Hours = 24.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        low, high = self.stated_factor
        if not 0.01 <= low <= high <= 100.0:
            raise ValueError(
                f"jobs: stated_factor = [{low:g}, {high:g}], must rise and be within [0.01, 100]"
            )
        return self

    @property
    def draws(self) -> bool:
        """Whether a seed makes a difference."""
        low, high = self.stated_factor
        return self.sample is not None or low < high


class OutageSpec(Spec):
    """GPUs ``first_gpu`` and following of a pool are gone in [start_at, end_at)."""

    site: Name
    pool: Name
    gpus: Annotated[int, Field(ge=1, le=1_000_000)]
    start_at: Instant
    end_at: Instant
    first_gpu: Annotated[int, Field(ge=0, le=1_000_000)] = 0

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.end_at <= self.start_at:
            raise ValueError(
                f"failure at {self.site}: end_at = {self.end_at.isoformat()},"
                f" must be after start_at = {self.start_at.isoformat()}"
            )
        return self


class RandomOutagesSpec(Spec):
    """Nodes fail at random, by the seed: each on average once in ``node_hours``."""

    node_hours: Annotated[float, Field(ge=1, le=1e7)]
    repair_hours: Hours = 12.0
    gpus_per_node: Annotated[int, Field(ge=1, le=10_000)] = 8


class FailuresSpec(Spec):
    """GPUs that fail, as listed and at random; who runs on them loses what it has not saved."""

    listed: Annotated[tuple[OutageSpec, ...], Field(max_length=10_000)] = ()
    random: RandomOutagesSpec | None = None
    save_every_hours: Hours | None = None


class RegionSpec(Spec):
    """Some of the fleet's sites, replayed by themselves: all, if none are named.

    ``signals_of``: a site takes the signals that the files have under another name, such as those
    of a zone.
    """

    name: Name
    sites: Annotated[tuple[Name, ...], Field(max_length=1000)] = ()
    signals_of: Annotated[dict[Name, Name], Field(max_length=1000)] = Field(default_factory=dict)


class PolicySpec(Spec):
    """Who plans, how often, and within which time; what is not given is as in the backtest."""

    use: UseName
    name: Name | None = None
    every_hours: Hours | None = None
    time_limit_s: Annotated[float, Field(gt=0, le=3600)] | None = None

    @property
    def label(self) -> str:
        """What it is called in folders and tables."""
        return self.name or self.use.replace(":", ".")


class BacktestSpec(Spec):
    """Everything that is replayed: each region under each policy, as often as there are seeds.

    Attributes
    ----------
    begin, end
        On slots of the fleet.
    fleet
        A fleet file; whatever plans there are would be approved.
    every_hours
        From plan to plan.
    time_limit_s
        CPU time of a plan.
    horizon_hours
        How far a plan looks; ``None``: as the fleet says.
    baseline
        What is saved is told against this policy.
    """

    name: Name = "backtest"
    begin: Instant
    end: Instant
    fleet: FilePath
    signals: SignalsSpec
    jobs: BacktestJobsSpec
    failures: FailuresSpec = FailuresSpec()
    grid_events: FilePath | None = None
    every_hours: Hours = 6.0
    horizon_hours: Annotated[int, Field(ge=1, le=24 * 31)] | None = None
    time_limit_s: Annotated[float, Field(gt=0, le=3600)] = 1.0
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...], Field(min_length=1, max_length=1000)
    ] = (1,)
    regions: Annotated[tuple[RegionSpec, ...], Field(min_length=1, max_length=1000)] = (
        RegionSpec(name="all"),
    )
    policies: Annotated[tuple[PolicySpec, ...], Field(min_length=1, max_length=100)]
    baseline: Name = "run_now"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not timedelta(0) < self.end - self.begin <= LONGEST:
            raise ValueError(
                f"end = {self.end.isoformat()}, must be after begin = {self.begin.isoformat()}"
                f" by at most {LONGEST.days} days"
            )
        labels = [policy.label for policy in self.policies]
        require_unique("backtest", "policy", labels)
        require_unique("backtest", "region", (region.name for region in self.regions))
        require_unique("backtest", "seed", map(str, self.seeds))
        if self.baseline not in labels:
            raise ValueError(f"baseline = {self.baseline!r}, must be one of {', '.join(labels)}")
        n_cases = len(self.regions) * len(self.seeds) * len(self.policies)
        if n_cases > MOST_CASES:
            raise ValueError(
                f"{n_cases} cases (regions x seeds x policies), must be <= {MOST_CASES}"
            )
        if len(self.seeds) > 1 and not (self.jobs.draws or self.failures.random):
            raise ValueError(
                f"seeds: {len(self.seeds)} are given, must be one: nothing is drawn, neither by"
                " jobs.sample, jobs.stated_factor nor failures.random"
            )
        return self
