"""The web application, put together from its routers."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from scheduler.api import (
    event_answers,
    explanations,
    fleet,
    grid_events,
    grid_reports,
    health,
    job_arrays,
    job_logs,
    jobs,
    keys,
    ledger,
    ledger_pages,
    links,
    messages,
    metrics,
    openadr,
    pages,
    plan_parts,
    planning_runs,
    plans,
    pools,
    power,
    quotes,
    schedule,
    settlement_pages,
    settlements,
    signal_forecasts,
    signal_pages,
    signal_quality,
    signals,
    vpp,
)
from scheduler.api.browsers import BrowserRules
from scheduler.api.context import ApiContext
from scheduler.api.docs import add_docs
from scheduler.api.limits import BodyLimit
from scheduler.api.metrics import RequestFigures, RequestMetrics
from scheduler.api.openapi import openapi_of
from scheduler.api.problems import add_problem_handlers

_ROUTERS = (
    planning_runs.router,
    plans.router,
    plan_parts.router,
    schedule.router,
    jobs.router,
    job_arrays.router,
    job_logs.router,
    explanations.router,
    quotes.router,
    signals.router,
    messages.router,
    signal_quality.router,
    signal_forecasts.router,
    signal_pages.router,
    grid_events.router,
    event_answers.router,
    event_answers.pages,
    openadr.router,
    settlements.router,
    vpp.router,
    grid_reports.router,
    settlement_pages.router,
    ledger.router,
    ledger_pages.router,
    fleet.router,
    pools.router,
    links.router,
    power.router,
    keys.router,
    health.router,
    metrics.router,
    pages.router,
)


def create_app(context: ApiContext) -> FastAPI:
    """Make the app; everything outside comes in ``context``."""
    app = FastAPI(title="Gridtide", version=version("gridtide"), docs_url=None, redoc_url=None)
    app.state.context = context
    app.state.registry = CollectorRegistry()
    app.state.log_followers = job_logs.Followers()
    app.openapi = openapi_of(app, context)  # type: ignore[method-assign]
    for router in _ROUTERS:
        app.include_router(router)
    add_docs(app)
    add_problem_handlers(app)
    app.add_exception_handler(pages.LoginNeeded, pages.ask_to_log_in)
    app.add_middleware(BodyLimit, max_bytes=context.max_body_bytes)
    app.add_middleware(BrowserRules)
    app.add_middleware(RequestMetrics, figures=RequestFigures(app.state.registry))
    return app
