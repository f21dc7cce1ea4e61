"""Who may control a site, and the record of what its loop saw and did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from scheduler.db.inserts import insert_new
from scheduler.db.models import SiteControl, TelemetryValue
from scheduler.services.site_control import Ticked
from scheduler.specs.message import TelemetrySeries

SOURCE = "control"
"""Who says the readings that the loop records."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Ticks of a site since the last record, those that were late, and the last one."""

    ticked: Ticked
    ticks: int
    missed: int


def hold(
    session: Session, sites: Sequence[str], holder: str, now: datetime, hold_s: float
) -> frozenset[str]:
    """Take or go on holding those of ``sites`` that nobody else holds; return them.

    Of any number of processes exactly one holds a site.
    """
    fresh = [{"site": site, "held_until": now} for site in sites]
    insert_new(session, SiteControl, fresh)
    session.execute(
        update(SiteControl)
        .where(
            SiteControl.site.in_(sites),
            or_(SiteControl.holder == holder, SiteControl.held_until <= now),
        )
        .values(holder=holder, held_until=now + timedelta(seconds=hold_s))
    )
    held = select(SiteControl.site).where(SiteControl.site.in_(sites), SiteControl.holder == holder)
    return frozenset(session.scalars(held))


def let_go(session: Session, holder: str, now: datetime) -> None:
    """Let others have at once what ``holder`` holds."""
    session.execute(update(SiteControl).where(SiteControl.holder == holder).values(held_until=now))


def record(
    session: Session,
    tallies: Mapping[str, Tally],
    holder: str,
    plan_id: UUID | None,
    now: datetime,
) -> None:
    """Write how sites stand that are still held, and what was measured there."""
    for site, tally in tallies.items():
        session.execute(
            update(SiteControl)
            .where(SiteControl.site == site, SiteControl.holder == holder)
            .values(
                **_standing(tally.ticked),
                plan_id=plan_id,
                ticks=SiteControl.ticks + tally.ticks,
                missed=SiteControl.missed + tally.missed,
            )
        )
    rows = [row for site, tally in tallies.items() for row in _readings(site, tally.ticked, now)]
    insert_new(session, TelemetryValue, rows)


def standings(session: Session, site: str | None = None) -> list[SiteControl]:
    """Return how the loops of all sites stand, or that of one."""
    found = select(SiteControl).order_by(SiteControl.site)
    if site is not None:
        found = found.where(SiteControl.site == site)
    return list(session.scalars(found))


def _standing(ticked: Ticked) -> dict[str, Any]:
    return {
        "ticked_at": ticked.at,
        "load_kw": ticked.load_kw,
        "import_kw": ticked.import_kw,
        "import_limit_kw": ticked.limits.import_kw,
        "beyond_kw": ticked.beyond_kw,
        "batteries": {
            name: {
                "power_kw": state.power_kw,
                "soc_kwh": state.soc_kwh,
                "told_kw": ticked.told_kw.get(name),
                "bind": ticked.binds[name].value if name in ticked.binds else None,
            }
            for name, state in ticked.batteries.items()
        },
        "problems": list(ticked.problems),
    }


def _readings(site: str, ticked: Ticked, now: datetime) -> Iterable[dict[str, Any]]:
    found: list[tuple[TelemetrySeries, str, datetime, float]] = []
    if ticked.import_kw is not None:
        found.append((TelemetrySeries.SITE_POWER, "", ticked.at, ticked.import_kw))
    for name, state in ticked.batteries.items():
        found.append((TelemetrySeries.BATTERY_POWER, name, state.at, state.power_kw))
        found.append((TelemetrySeries.BATTERY_SOC, name, state.at, state.soc_kwh))
    for series, device, at, value in found:
        yield {
            "site": site,
            "series": series,
            "device": device,
            "at": at,
            "value": value,
            "source": SOURCE,
            "received_at": now,
        }
