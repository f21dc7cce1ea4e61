"""What a site bought in a month so far, by period of its tariff, as the ledger has it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.db.models import LedgerEntry
from scheduler.services.assemble_tariff import stated_energy
from scheduler.services.ledger_store import latest_only
from scheduler.specs.fleet import SiteSpec
from scheduler.tariffs.energy import MonthEnergy, energy_period
from scheduler.tariffs.local_time import local_hour, local_hours


def energy_in_month(session: Session, spec: SiteSpec, at: datetime) -> tuple[float, ...] | None:
    """Return what was bought from the month's beginning to ``at`` [kWh], by period.

    ``None``: the site has no tariff. What the spec states of the month is begun with.
    """
    tariff = spec.tariff
    if tariff is None:
        return None
    zone = ZoneInfo(spec.time_zone)
    month = local_hour(at, zone).month
    begin = at.astimezone(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    stated = stated_energy(spec, tariff, month)
    energy = stated or MonthEnergy.nothing(tariff, month)
    if stated is not None and tariff.so_far is not None:
        begin = max(begin, tariff.so_far.at)
    rows = session.execute(
        select(LedgerEntry.start_at, LedgerEntry.minutes, LedgerEntry.bought_kwh)
        .where(
            LedgerEntry.site == spec.name,
            LedgerEntry.start_at >= begin,
            LedgerEntry.start_at < at,
            latest_only(),
        )
        .order_by(LedgerEntry.start_at)
    )
    period_of = energy_period(tariff)
    for start, minutes, kwh in rows:
        (hours,) = local_hours(start, minutes, 1, spec.time_zone)
        for hour, share in hours.items():
            if hour.month == month:
                energy = energy.plus(period_of(hour), kwh * share)
    return energy.by_period_kwh
