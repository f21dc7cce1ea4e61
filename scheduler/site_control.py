"""The process of control loops: one task for each site, and beside them what touches the database.

A tick is due at every multiple of a site's period by the monotonic clock, whatever the last one
took; one that is not over when the next is due is missed, and those it ran over are left out. What
the database takes its time over, or that it is away, makes no tick late.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, repeat

from scheduler.db.outage import DATABASE_AWAY, DATABASE_BUSY, DatabaseBroken
from scheduler.db.session import SessionFactory, transaction
from scheduler.loops import side_by_side
from scheduler.services.ingestion_tidy import Kept, tidy
from scheduler.services.site_control import SiteController, Ticked
from scheduler.services.site_devices import Devices
from scheduler.services.site_orders import OrderBook, Orders
from scheduler.services.site_records import Tally, hold, let_go, record
from scheduler.specs.fleet import SiteSpec
from scheduler.timekeeping import Now

log = logging.getLogger(__name__)

DevicesOf = Callable[[SiteSpec], Devices]

LOOK_EVERY_S = 2.0
RECORD_EVERY_S = 10.0
TIDY_EVERY_S = 600.0
HELD_S = 15.0  # by whom was not heard of for so long, a site is not controlled any more
_PASSING = (*DATABASE_AWAY, DATABASE_BUSY, DatabaseBroken)


def run_control(
    devices_of: DevicesOf,
    sessions: SessionFactory,
    now: Now,
    stop: threading.Event,
    holder: str,
    readings_kept: timedelta,
) -> None:
    """Control every site that has a control loop until ``stop`` is set."""
    asyncio.run(_run(ControlRoom(devices_of, sessions, now, holder, readings_kept), stop))


async def _run(room: ControlRoom, stop: threading.Event) -> None:
    try:
        await side_by_side((room.look(), room.write()), stop)
    finally:
        await room.close()


@dataclass
class Pace:
    """When the next tick of a site is due [s], and how many there were and were missed."""

    every_s: float
    due_s: float
    ticks: int = 0
    missed: int = 0

    def over(self, now_s: float) -> float:
        """Note the end of a tick; return how long it is to the next [s]."""
        late = int((now_s - self.due_s) / self.every_s)
        self.ticks += 1 + late
        self.missed += late
        self.due_s += (1 + late) * self.every_s
        return max(0.0, self.due_s - now_s)

    def settle(self, ticks: int, missed: int) -> None:
        """Take off what was recorded."""
        self.ticks -= ticks
        self.missed -= missed


class Loop:
    """The loop of one site."""

    def __init__(self, controller: SiteController, every_s: float, first_s: float) -> None:
        self.controller = controller
        self.pace = Pace(every_s, first_s)
        self.last: Ticked | None = None
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Stop, and let go of the devices."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.controller.close()

    async def _run(self) -> None:
        await asyncio.sleep(max(0.0, self.pace.due_s - time.monotonic()))
        while True:
            try:
                self.last = await self.controller.tick()
            except Exception:  # a defect: one bad tick must not be the last
                log.exception("a tick of site %s failed", self.controller.site.name)
            await asyncio.sleep(self.pace.over(time.monotonic()))


class ControlRoom:
    """The loops of all sites, and what they share."""

    def __init__(
        self,
        devices_of: DevicesOf,
        sessions: SessionFactory,
        now: Now,
        holder: str,
        readings_kept: timedelta,
    ) -> None:
        self._devices_of = devices_of
        self._sessions = sessions
        self._now = now
        self._holder = holder
        self._kept = Kept(readings=readings_kept)
        self._book = OrderBook()
        self._orders: Orders | None = None
        self._held: frozenset[str] = frozenset()
        self._loops: dict[str, Loop] = {}
        self._tidied_s = time.monotonic()

    async def look(self) -> None:
        """Read from time to time what holds, and begin and end loops as the fleet has it."""
        while True:
            try:
                orders, self._held = await asyncio.to_thread(self._read)
                self._orders = orders
                await self._follow(orders)
            except _PASSING as error:
                log.warning("what the plan wants is not known: %s", _said(error))
            except Exception:
                log.exception("a look at plan and fleet failed")
            await asyncio.sleep(LOOK_EVERY_S)

    async def write(self) -> None:
        """Record from time to time how sites stand."""
        for pause_s in chain((LOOK_EVERY_S,), repeat(RECORD_EVERY_S)):
            await asyncio.sleep(pause_s)
            await self._record()

    async def close(self) -> None:
        """End every loop, record what was not, and let others take the sites."""
        await self._record()
        for loop in self._loops.values():
            await loop.end()
        self._loops.clear()
        try:
            await asyncio.to_thread(self._let_go)
        except _PASSING as error:
            log.warning("sites stay held for %g s: %s", HELD_S, _said(error))

    async def _follow(self, orders: Orders) -> None:
        sites = {} if orders.fleet is None else {site.name: site for site in orders.fleet.sites}
        wanted = {name: site for name, site in sites.items() if site.control is not None}
        for name, loop in list(self._loops.items()):
            if wanted.get(name) != loop.controller.site:
                await loop.end()
                del self._loops[name]
        new = [site for name, site in wanted.items() if name not in self._loops]
        for index, site in enumerate(new):
            self._loops[site.name] = self._begin(site, index / len(new))

    def _begin(self, site: SiteSpec, share: float) -> Loop:
        control = site.control
        if control is None:
            raise ValueError(f"site {site.name} has no control")
        name = site.name
        controller = SiteController(
            site,
            control,
            self._devices_of(site),
            orders=self._current,
            may_tell=lambda: name in self._held,
            now=self._now,
        )
        # Not all at once: each has its share of the period.
        return Loop(controller, control.every_s, time.monotonic() + share * control.every_s)

    def _current(self) -> Orders:
        if self._orders is None:
            raise ValueError("a loop began before anything was read")
        return self._orders

    def _read(self) -> tuple[Orders, frozenset[str]]:
        now, now_s = self._now(), time.monotonic()
        with transaction(self._sessions) as session:
            orders = self._book.read(session, now, now_s)
            sites = () if orders.fleet is None else orders.fleet.sites
            names = [site.name for site in sites if site.control is not None]
            held = hold(session, names, self._holder, now, HELD_S) if names else frozenset()
        if lost := self._held - held:
            log.warning("no longer controlled from here: %s", ", ".join(sorted(lost)))
        return orders, held

    async def _record(self) -> None:
        tallies = {
            name: Tally(loop.last, loop.pace.ticks, loop.pace.missed)
            for name, loop in self._loops.items()
            if loop.last is not None and name in self._held
        }
        try:
            await asyncio.to_thread(self._write, tallies, self._now())
            for name, tally in tallies.items():
                if name in self._loops:
                    self._loops[name].pace.settle(tally.ticks, tally.missed)
        except _PASSING as error:
            log.warning("how sites stand is not recorded: %s", _said(error))
        except Exception:
            log.exception("how sites stand is not recorded")

    def _write(self, tallies: dict[str, Tally], now: datetime) -> None:
        plan_id = None if self._orders is None else self._orders.plan_id
        with transaction(self._sessions) as session:
            record(session, tallies, self._holder, plan_id, now)
        if time.monotonic() - self._tidied_s > TIDY_EVERY_S:
            self._tidied_s = time.monotonic()
            with transaction(self._sessions) as session:
                tidy(session, now, self._kept)

    def _let_go(self) -> None:
        with transaction(self._sessions) as session:
            let_go(session, self._holder, self._now())


def _said(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error)
