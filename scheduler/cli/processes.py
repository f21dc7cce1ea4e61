"""``gridtide api``, ``worker``, ``clock``, ``dispatcher``, ``control``, ``ingest``; ``serve``."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated
from uuid import uuid4

import typer
import uvicorn

from scheduler.cli.console import ExitCode, UserError, stdout
from scheduler.cli.database import ready_sessions, upgraded_sessions
from scheduler.cli.keys import print_first_key
from scheduler.cli.supervise import KeepsFailing, supervise
from scheduler.clock import run_clock
from scheduler.dispatcher import run_dispatcher
from scheduler.grid_side import Alarm, run_grid_side
from scheduler.ingest import run_ingest
from scheduler.main import (
    detail_of,
    devices_of,
    durable_sessions,
    make_app,
    notifier_of,
    outside_of,
    virtual_power_plant_of,
)
from scheduler.services.energy_watch import EnergyWatch
from scheduler.services.feeds import FeedWatch
from scheduler.services.grid_side import GridSide
from scheduler.services.ledger_watch import LedgerWatch
from scheduler.services.power_watch import PowerWatch
from scheduler.services.replan_watch import ReplanWatch
from scheduler.services.settlement_watch import SettlementWatch
from scheduler.services.signal_watch import SignalWatch
from scheduler.settings import Settings
from scheduler.side_by_side import SearchPlace
from scheduler.signal_sources import sources_of
from scheduler.site_control import run_control
from scheduler.streams import intake_of, message_sources_of
from scheduler.timekeeping import system_now
from scheduler.watches import (
    run_energy_watch,
    run_feed_watch,
    run_ledger_watch,
    run_power_watch,
    run_replan_watch,
    run_settlement_watch,
    run_signal_watch,
)
from scheduler.worker import Worker, WorkerTiming

PROCESSES = ("api", "worker", "clock", "dispatcher", "control", "ingest")
PARENT_POLL_S = 1.0
# Requests that still run then are broken off: a log may be followed for hours.
REQUESTS_END_WITHIN_S = 5
VPP_NAME = "vpp"

HostOption = Annotated[str | None, typer.Option(help="Default: GRIDTIDE_HOST, or 127.0.0.1.")]
PortOption = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Default: GRIDTIDE_PORT, or 8000.")
]
ParentOption = Annotated[
    int | None, typer.Option("--parent", hidden=True, help="End when this process has ended.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve")(serve)
    app.command("api")(api)
    app.command("worker")(worker)
    app.command("clock")(clock)
    app.command("dispatcher")(dispatcher)
    app.command("control")(control)
    app.command("ingest")(ingest)


class TellingServer(uvicorn.Server):
    """Says where it answers, no sooner than it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and print the address with the port that was given or found."""
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            address = f"http://{self.config.host}:{port}"
            stdout().print(
                f"Plans: {address}/  API: {address}/docs  Ctrl-C ends it.", soft_wrap=True
            )


def serve(host: HostOption = None, port: PortOption = None) -> None:
    """Run API, worker, clock, dispatcher and control together; ingest, where there are brokers.

    Until Ctrl-C.

    Brings the database up to date first, and prints the first API key where there is none, then
    the address once it answers.
    """
    settings = _settings(host, port)
    print_first_key(upgraded_sessions(settings))
    _log_to_stderr()
    stop = _stop_on_signals()
    program = [sys.executable, "-m", "scheduler"]
    parent = ["--parent", str(os.getpid())]
    commands = {name: [*program, name, *parent] for name in wanted_processes(settings)}
    commands["api"] += ["--host", settings.host, "--port", str(settings.port)]
    try:
        supervise(commands, stop)
    except KeepsFailing as error:
        raise UserError(str(error), code=ExitCode.UNEXPECTED) from error


def wanted_processes(settings: Settings) -> tuple[str, ...]:
    """Return what ``serve`` runs: there is nothing to carry where there is no broker."""
    return tuple(name for name in PROCESSES if name != "ingest" or settings.has_streams)


def api(host: HostOption = None, port: PortOption = None, parent: ParentOption = None) -> None:
    """Serve the API and the pages. Prints the first API key where there is none.

    The address follows once it answers.
    """
    settings = _settings(host, port)
    sessions = ready_sessions(settings)
    print_first_key(sessions)
    _log_to_stderr()
    _end_with(parent)
    app = make_app(settings, sessions, system_now)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        timeout_graceful_shutdown=REQUESTS_END_WITHIN_S,
    )
    try:
        TellingServer(config).run()
    except KeyboardInterrupt:
        return  # told to, it has ended in good order
    except SystemExit as error:  # it has told why
        where = f"{settings.host}:{settings.port}"
        raise UserError(f"the API does not start on {where}", code=ExitCode.UNEXPECTED) from error


def worker(parent: ParentOption = None) -> None:
    """Work off the queue of planning runs, and enter what really ran in the ledger.

    Any number of workers may run.
    """
    settings = Settings()
    sessions = ready_sessions(settings)
    timing = WorkerTiming(lease_s=settings.lease_s)
    place = SearchPlace(settings.search_workers, settings.dask_scheduler)

    def work(stop: threading.Event) -> None:
        # Beside planning, not in it: a plan may take minutes.
        entering = (LedgerWatch(sessions, system_now), stop)
        threading.Thread(target=run_ledger_watch, args=entering, daemon=True).start()
        Worker(sessions, system_now, stop, timing=timing, place=place).run()

    _run(work, parent)


def clock(parent: ParentOption = None) -> None:
    """Queue planning runs when their time has come or something has happened.

    It listens to the grid side if there is one and settles its events, and fetches the signals
    that sites have feeds of.

    Any number of clocks may run.
    """
    settings = Settings()
    sessions = ready_sessions(settings)
    vpp, notifier = virtual_power_plant_of(settings, system_now), notifier_of(settings)

    def work(stop: threading.Event) -> None:
        if vpp is not None:
            grid_side = GridSide(sessions, vpp, VPP_NAME, system_now)
            alarm = Alarm(sessions)
            # Beside the clock, not in it: a silent grid side must not hold up the day's plan.
            polling = (grid_side, stop, settings.grid_side_every_s, alarm)
            threading.Thread(target=run_grid_side, args=polling, daemon=True).start()
            if notifier is not None:
                listening = (alarm.ring, stop)
                threading.Thread(target=notifier.run, args=listening, daemon=True).start()
        watching = (ReplanWatch(sessions, system_now), stop)
        threading.Thread(target=run_replan_watch, args=watching, daemon=True).start()
        feeds = FeedWatch(sessions, sources_of(settings, system_now), system_now)
        threading.Thread(target=run_feed_watch, args=(feeds, stop), daemon=True).start()
        signals = SignalWatch(sessions, system_now, detail_of(settings), stop)
        threading.Thread(target=run_signal_watch, args=(signals, stop), daemon=True).start()
        settling = (SettlementWatch(sessions, system_now), stop)
        threading.Thread(target=run_settlement_watch, args=settling, daemon=True).start()
        run_clock(sessions, system_now, stop)

    _run(work, parent)


def dispatcher(parent: ParentOption = None) -> None:
    """Carry out the plan in force on clusters and batteries, and record what they and jobs use."""
    settings = Settings()
    sessions = ready_sessions(settings)
    outside = outside_of(settings, system_now)
    history = timedelta(days=settings.power_history_days)
    power = PowerWatch(sessions, outside, system_now, history)
    energy = EnergyWatch(sessions, outside, system_now)

    def work(stop: threading.Event) -> None:
        # Beside dispatch, not in it: whoever measures may hang, and no command must wait for it.
        threading.Thread(target=run_power_watch, args=(power, stop), daemon=True).start()
        threading.Thread(target=run_energy_watch, args=(energy, stop), daemon=True).start()
        run_dispatcher(sessions, outside, system_now, stop, settings.dispatch_every_s)

    _run(work, parent)


def control(parent: ParentOption = None) -> None:
    """Look after the batteries of sites that have a control loop, every few seconds.

    Any number may run: of each site one looks after it, and another where that one is gone.
    """
    settings = Settings()
    sessions = ready_sessions(settings)
    devices = devices_of(settings, system_now)
    holder = f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"
    kept = timedelta(days=settings.telemetry_history_days)
    _run(lambda stop: run_control(devices, sessions, system_now, stop, holder, kept), parent)


def ingest(parent: ParentOption = None) -> None:
    """Carry messages from MQTT and Kafka into the database, and acknowledge what is stored.

    Of one MQTT client id one process at a time; of a group of Kafka any number.
    """
    settings = Settings()
    sources = message_sources_of(settings)
    if not sources:
        raise UserError("there is no broker: set GRIDTIDE_MQTT_URL, GRIDTIDE_KAFKA_SERVERS or both")
    ready_sessions(settings)
    sessions = durable_sessions(settings)
    intake = intake_of(settings, sessions, system_now)
    _run(lambda stop: run_ingest(sources, intake, sessions, system_now, stop), parent)


def _run(work: Callable[[threading.Event], None], parent: int | None) -> None:
    """Do ``work`` until a signal, or the end of ``parent``, sets the event it is given."""
    _log_to_stderr()
    stop = _stop_on_signals()
    _end_with(parent)
    work(stop)


def _settings(host: str | None, port: int | None) -> Settings:
    stated = {"host": host, "port": port}
    return Settings.model_validate(
        Settings().model_dump()
        | {name: value for name, value in stated.items() if value is not None}
    )


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for chatty in ("alembic", "apscheduler", "httpx", "httpx2", "pymodbus"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _stop_on_signals() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def _end_with(parent: int | None) -> None:
    """End this process in good order once ``parent`` has ended, however that came about."""
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == parent:
            gone.wait(PARENT_POLL_S)
        os.kill(os.getpid(), signal.SIGTERM)

    gone = threading.Event()
    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
