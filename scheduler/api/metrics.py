"""``/metrics`` for Prometheus: requests as they are served, everything else as it stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.auth import SubmitterDep
from scheduler.api.context import NowDep, SessionDep
from scheduler.db.models import ClusterPower, JobStatus, StreamState
from scheduler.db.models.stream import STREAM_COUNTS
from scheduler.services import observations
from scheduler.services.feed_states import FeedStanding
from scheduler.services.observations import LastPlan, Observations, RunningSolve
from scheduler.services.transfers import LinkTotals

router = APIRouter(tags=["health"])

Status = TypeVar("Status", bound=StrEnum)
_OF_TRANSFERS = frozenset(JobStatus) - {JobStatus.EXPIRED}
_UNROUTED = "(none)"  # one label for every address that does not exist


class RequestFigures:
    """Requests and their duration by route, not by address; one of these for each registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "gridtide_http_requests",
            "Requests served.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "gridtide_http_request_seconds",
            "Time to the end of the answer.",
            ("method", "route"),
            registry=registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request that was served."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)


class RequestMetrics:
    """ASGI middleware that counts what it serves. The framework may make several for one app."""

    def __init__(self, app: ASGIApp, figures: RequestFigures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request and count it, also where it fails."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        began = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", _UNROUTED)
            self._figures.count(scope["method"], route, status, time.perf_counter() - began)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
def metrics(request: Request, session: SessionDep, _caller: SubmitterDep, now: NowDep) -> Response:
    """Show runs, queue, jobs, plans, commands and requests as numbers to watch."""
    standing = CollectorRegistry()
    standing.register(_Standing(observations.observe(session, now)))
    served: CollectorRegistry = request.app.state.registry
    return Response(
        generate_latest(standing) + generate_latest(served), media_type=CONTENT_TYPE_PLAIN_0_0_4
    )


class _Standing:
    """Collector of what stands in the database."""

    def __init__(self, seen: Observations) -> None:
        self._seen = seen

    def collect(self) -> Iterable[Metric]:
        """Give every gauge."""
        seen = self._seen
        yield _by_status("planning_runs", "Planning runs by status.", seen.runs)
        yield _by_status("jobs", "Jobs by status.", seen.jobs)
        yield _by_status("plans", "Plans by status.", seen.plans)
        yield _by_status("dispatch_commands", "Commands by outcome.", seen.commands, "outcome")
        yield GaugeMetricFamily(
            "gridtide_jobs_cap_not_in_force",
            "Jobs whose power cap their node says is not in force.",
            value=seen.caps_not_in_force,
        )
        yield GaugeMetricFamily(
            "gridtide_jobs_checkpoint_failed",
            "Jobs that left a pause without having saved, or whose continuation crashed at once.",
            value=seen.checkpoints_failed,
        )
        yield GaugeMetricFamily(
            "gridtide_planning_queue_age_seconds",
            "Age of the planning run that waits longest; 0: none waits.",
            value=seen.oldest_queued_s,
        )
        if seen.last_plan is not None:
            yield from _of_plan(seen.last_plan)
        yield from _of_solves(seen.solves)
        transfers = {status: n for status, n in seen.transfers.items() if status in _OF_TRANSFERS}
        yield _by_status("data_transfers", "Transfers of input data by status.", transfers)
        yield from _of_links(seen.links)
        yield from _of_power(seen.power)
        yield from _of_streams(seen.streams)
        yield _by_status(
            "signal_flags", "Suspicious signals nobody has decided on.", seen.signal_flags, "rule"
        )
        clock = GaugeMetricFamily(
            "gridtide_cluster_clock_ahead_seconds",
            "How far the clock of a cluster is ahead of the dispatcher's.",
            labels=("site",),
        )
        for site, ahead_s in seen.clocks.items():
            clock.add_metric((site,), ahead_s)
        yield clock
        yield from _of_feeds(seen.feeds)
        yield _by_status(
            "jobs_late",
            "Jobs past their deadline: not over, or ended late within the last day.",
            seen.late_jobs,
            "which",
        )
        yield _by_status(
            "grid_events_settled",
            "Calls of the grid settled within the last day.",
            seen.settled_events,
            "outcome",
        )


def _by_status(
    name: str, text: str, counts: Mapping[Status, int], label: str = "status"
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"gridtide_{name}", text, labels=(label,))
    for status, count in counts.items():
        family.add_metric((status.value,), count)
    return family


def _of_plan(plan: LastPlan) -> Iterable[GaugeMetricFamily]:
    values = {
        "created_timestamp_seconds": ("When the last plan was made.", plan.created_at.timestamp()),
        "money_eur": ("What the last plan costs.", plan.money_eur),
        "carbon_kg": ("What the last plan emits.", plan.carbon_kg),
        "baseline_money_eur": ("What running every job at once costs.", plan.baseline_money_eur),
        "baseline_carbon_kg": ("What running every job at once emits.", plan.baseline_carbon_kg),
        "violations": ("Obligations the last plan does not meet.", plan.n_violations),
        "wanted_gap_ratio": ("Gap at which a solve ends before its time limit.", plan.wanted_gap),
    }
    if plan.gap is not None:
        values["gap_ratio"] = ("Relative gap of the last plan.", plan.gap)
    for name, (text, value) in values.items():
        yield GaugeMetricFamily(f"gridtide_last_plan_{name}", text, value=value)


def _of_links(links: Sequence[LinkTotals]) -> Iterable[GaugeMetricFamily]:
    values: dict[str, tuple[str, Callable[[LinkTotals], float | None]]] = {
        "transfers": ("Transfers done over a link.", lambda link: link.transfers),
        "moved_gb": ("What they moved.", lambda link: link.gb),
        "paid_eur": ("What they cost, by the price of the link.", lambda link: link.eur),
        "gb_per_hour": ("Mean rate of those without a retry.", lambda link: link.gb_per_hour),
        "expected_gb_per_hour": (
            "Rate the fleet said they would have.",
            lambda link: link.expected_gb_per_hour,
        ),
    }
    for name, (text, value_of) in values.items():
        family = GaugeMetricFamily(f"gridtide_link_{name}", text, labels=("from_site", "to_site"))
        for link in links:
            if (value := value_of(link)) is not None:
                family.add_metric((link.from_site, link.to_site), value)
        yield family


def _of_power(power: Sequence[ClusterPower]) -> Iterable[GaugeMetricFamily]:
    drawn = GaugeMetricFamily(
        "gridtide_cluster_power_kw", "What a cluster draws.", labels=("site", "how", "source")
    )
    planned = GaugeMetricFamily(
        "gridtide_cluster_planned_kw", "What the plan wants it to draw now.", labels=("site",)
    )
    for row in power:
        how = "measured" if row.is_measured else "modelled"
        drawn.add_metric((row.site, how, row.source), row.kw)
        if row.planned_kw is not None:
            planned.add_metric((row.site,), row.planned_kw)
    yield drawn
    yield planned


def _of_streams(streams: Sequence[StreamState]) -> Iterable[Metric]:
    messages = CounterMetricFamily(
        "gridtide_stream_messages",
        "Messages, by what became of them.",
        labels=("stream", "outcome"),
    )
    values: dict[str, tuple[str, Callable[[StreamState], float | None]]] = {
        "delay_seconds": (
            "From sending to storing, the longest of the last batch.",
            lambda stream: stream.delay_s,
        ),
        "backlog_messages": ("Messages that wait at the broker.", lambda stream: stream.backlog),
        "last_message_timestamp_seconds": (
            "When the last message came.",
            lambda stream: None if stream.received_at is None else stream.received_at.timestamp(),
        ),
        "connected": ("1: nothing stands against it.", lambda stream: float(not stream.problem)),
    }
    for stream in streams:
        for outcome in STREAM_COUNTS:
            messages.add_metric((stream.stream, outcome), getattr(stream, outcome))
    yield messages
    for name, (text, value_of) in values.items():
        family = GaugeMetricFamily(f"gridtide_stream_{name}", text, labels=("stream",))
        for stream in streams:
            if (value := value_of(stream)) is not None:
                family.add_metric((stream.stream,), value)
        yield family


def _of_feeds(feeds: Sequence[FeedStanding]) -> Iterable[GaugeMetricFamily]:
    labels = ("site", "kind", "source")
    age = GaugeMetricFamily(
        "gridtide_feed_age_seconds", "Since a source last answered as agreed.", labels=labels
    )
    every = GaugeMetricFamily(
        "gridtide_feed_every_seconds", "Pause between two fetches.", labels=labels
    )
    failures = GaugeMetricFamily(
        "gridtide_feed_failures", "Tries in a row that went wrong.", labels=labels
    )
    for feed in feeds:
        which = (feed.site, feed.kind.value, feed.source)
        if feed.age_hours is not None:
            age.add_metric(which, feed.age_hours * 3600)
        every.add_metric(which, feed.every_minutes * 60)
        failures.add_metric(which, feed.failures)
    yield age
    yield every
    yield failures


def _of_solves(solves: Sequence[RunningSolve]) -> Iterable[GaugeMetricFamily]:
    values: dict[str, tuple[str, Callable[[RunningSolve], float | None]]] = {
        "seconds": ("How long the solve of a worker has run.", lambda solve: solve.seconds),
        "best_eur": ("Objective of the best plan it has.", lambda solve: solve.best_eur),
        "bound_eur": ("What it has proven no plan to be below.", lambda solve: solve.bound_eur),
        "gap_ratio": ("Relative gap between the two.", lambda solve: solve.gap),
    }
    for name, (text, value_of) in values.items():
        family = GaugeMetricFamily(f"gridtide_solve_{name}", text, labels=("worker",))
        for solve in solves:
            if (value := value_of(solve)) is not None:
                family.add_metric((solve.worker,), value)
        yield family
