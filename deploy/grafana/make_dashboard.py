"""Writes ``gridtide.json``: ``python deploy/grafana/make_dashboard.py``.

By Grafana's own builders, so that it is what Grafana reads (dashboards of Grafana 11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import DataSourceRef

WRITTEN = Path(__file__).with_name("gridtide.json")
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
HALF, SIXTH, TALL, LOW = 12, 4, 8, 4  # of a grid of 24 columns


@dataclass(frozen=True, slots=True)
class Curves:
    """One panel: legends and what is drawn, by PromQL."""

    title: str
    unit: str
    of: Mapping[str, str]


NUMBERS = (
    Curves("Jobs running", "short", {"": 'gridtide_jobs{status="running"}'}),
    Curves("Jobs past their deadline", "short", {"": "sum(gridtide_jobs_late)"}),
    Curves("Calls unmet in a day", "short", {"": 'gridtide_grid_events_settled{outcome="unmet"}'}),
    Curves("Obligations not met by the plan", "short", {"": "gridtide_last_plan_violations"}),
    Curves("Gap of the last plan", "percentunit", {"": "gridtide_last_plan_gap_ratio"}),
    Curves(
        "Age of the last plan", "s", {"": "time() - gridtide_last_plan_created_timestamp_seconds"}
    ),
)
ROWS: Mapping[str, Sequence[Curves]] = {
    "Plan and reality": (
        Curves(
            "Power of clusters",
            "kwatt",
            {
                "{{site}} drawn ({{how}})": "sum by (site, how) (gridtide_cluster_power_kw)",
                "{{site}} planned": "gridtide_cluster_planned_kw",
            },
        ),
        Curves("Jobs", "short", {"{{status}}": "gridtide_jobs > 0"}),
    ),
    "What planning saves": (
        Curves(
            "Cost of the last plan",
            "currencyEUR",
            {
                "planned": "gridtide_last_plan_money_eur",
                "every job at once": "gridtide_last_plan_baseline_money_eur",
            },
        ),
        Curves(
            "Carbon of the last plan",
            "masskg",
            {
                "planned": "gridtide_last_plan_carbon_kg",
                "every job at once": "gridtide_last_plan_baseline_carbon_kg",
            },
        ),
    ),
    "Planning": (
        Curves(
            "Solves under way",
            "currencyEUR",
            {
                "{{worker}} best": "gridtide_solve_best_eur",
                "{{worker}} bound": "gridtide_solve_bound_eur",
            },
        ),
        Curves(
            "Queue",
            "s",
            {
                "longest wait": "gridtide_planning_queue_age_seconds",
                "{{worker}} solves for": "gridtide_solve_seconds",
            },
        ),
    ),
    "What comes in": (
        Curves(
            "Age of signals",
            "s",
            {"{{site}} {{kind}} ({{source}})": "gridtide_feed_age_seconds"},
        ),
        Curves(
            "Messages of streams",
            "reqps",
            {"{{stream}} {{outcome}}": "rate(gridtide_stream_messages_total[5m])"},
        ),
    ),
    "What goes out": (
        Curves(
            "Commands by outcome",
            "short",
            {"{{outcome}}": "gridtide_dispatch_commands"},
        ),
        Curves(
            "Requests, 95 % within",
            "s",
            {
                "{{method}}": "histogram_quantile(0.95, sum by (le, method)"
                " (rate(gridtide_http_request_seconds_bucket[5m])))"
            },
        ),
    ),
}


def made() -> str:
    """Return the dashboard as JSON."""
    built = (
        dashboard.Dashboard("Gridtide")
        .uid("gridtide")
        .tags(["gridtide"])
        .refresh("30s")
        .time("now-24h", "now")
        .timezone("browser")
        .with_variable(
            dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus")
        )
    )
    for panel in NUMBERS:
        number = stat.Panel().title(panel.title).unit(panel.unit).datasource(SOURCE)
        for query in _queries(panel):
            number.with_target(query)
        built.with_panel(number.span(SIXTH).height(LOW))
    for title, panels in ROWS.items():
        built.with_row(dashboard.Row(title))
        for panel in panels:
            curves = timeseries.Panel().title(panel.title).unit(panel.unit).datasource(SOURCE)
            curves.show_points(common.VisibilityMode.NEVER)
            for query in _queries(panel):
                curves.with_target(query)
            built.with_panel(curves.span(HALF).height(TALL))
    return JSONEncoder(sort_keys=True, indent=1).encode(built.build()) + "\n"


def _queries(panel: Curves) -> Iterator[prometheus.Dataquery]:
    for number, (legend, expression) in enumerate(panel.of.items()):
        query = prometheus.Dataquery().expr(expression).legend_format(legend or panel.title)
        yield query.ref_id("ABCDEF"[number])


if __name__ == "__main__":
    WRITTEN.write_text(made(), encoding="utf-8")
