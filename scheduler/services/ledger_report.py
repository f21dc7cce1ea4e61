"""The ledger read: entries, sums by whom, chargeback, and plan beside reality, day by day."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session

from connectors.types import Window
from scheduler.db.models import LedgerEntry, LedgerShare, LedgerSite
from scheduler.ledger.account import Basis, Holder
from scheduler.ledger.checks import paid_eur
from scheduler.ledger.reports import Chargeback, Spread, Sums, chargeback
from scheduler.services import fleet as fleets
from scheduler.services.errors import Invalid, NotFound, Refusal
from scheduler.services.ledger_store import columns_of, latest_only, sites_in

LONGEST = timedelta(days=366)
MOST_ENTRIES = 20_000
MOST_SUMS = 20_000

_MONTH = re.compile(r"^(19[7-9]\d|20\d\d|21\d\d)-(0[1-9]|1[0-2])$")


class By(StrEnum):
    """What shares are summed by."""

    JOB = "job"
    TENANT = "tenant"
    PROJECT = "project"
    SITE = "site"
    HOLDER = "holder"


@dataclass(frozen=True, slots=True)
class Which:
    """Shares of these entries; ``None``: of all."""

    window: Window
    site: str | None = None
    tenant: str | None = None
    project: str | None = None
    job: str | None = None


def month_window(session: Session, month: str, site: str | None) -> Window:
    """Return a calendar month by the clock of ``site``, or by UTC for all sites.

    Raises
    ------
    Invalid
        It is no month.
    NotFound
        There is no such site.
    """
    if not _MONTH.match(month):
        raise Invalid(Refusal("ledger", "month", month, "a month as 2026-11"))
    zone = zone_of(session, site)
    year, number = (int(part) for part in month.split("-"))
    start = datetime(year, number, 1, tzinfo=zone)
    after = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=zone)
    return Window(start.astimezone(UTC), after.astimezone(UTC))


def months_around(month: str) -> tuple[str, str]:
    """Return the month before and the month after."""
    year, number = (int(part) for part in month.split("-"))
    before = f"{year - 1}-12" if number == 1 else f"{year}-{number - 1:02}"
    after = f"{year + 1}-01" if number == 12 else f"{year}-{number + 1:02}"
    return before, after


def require_window(window: Window) -> None:
    """Refuse a span that is too long."""
    if window.end - window.start > LONGEST:
        raise Invalid(Refusal("ledger", "end", window.end.isoformat(), f"{LONGEST.days} d at most"))


def require_ledger(session: Session, site: str | None) -> None:
    """Raise ``NotFound`` for a site that has no ledger."""
    if site is not None and session.get(LedgerSite, site) is None:
        raise NotFound("ledger of site", site)


def entries(
    session: Session, window: Window, site: str | None, *, with_corrected: bool = False
) -> list[LedgerEntry]:
    """Return entries of slots beginning in ``window``, by start, site and revision.

    Raises ``Invalid`` where there are more than ``MOST_ENTRIES``.
    """
    found = select(LedgerEntry).where(*_of(Which(window, site)))
    if not with_corrected:
        found = found.where(latest_only())
    ordered = found.order_by(LedgerEntry.start_at, LedgerEntry.site, LedgerEntry.revision)
    rows = list(session.scalars(ordered.limit(MOST_ENTRIES + 1)))
    if len(rows) > MOST_ENTRIES:
        limit = f"sooner: at most {MOST_ENTRIES} entries are told at once, or ask for one site"
        raise Invalid(Refusal("ledger", "end", window.end.isoformat(), limit))
    return rows


def sums_by(session: Session, which: Which, by: By) -> list[tuple[str, Sums]]:
    """Sum the shares that stand; by tenant, project or job only those of jobs."""
    key: Any = LedgerEntry.site if by is By.SITE else getattr(LedgerShare, by.value)
    wanted = _summed([key], which)
    if by in {By.JOB, By.TENANT, By.PROJECT}:
        wanted = wanted.where(LedgerShare.holder == Holder.JOB)
    rows = session.execute(wanted.order_by(key).limit(MOST_SUMS + 1)).all()
    if len(rows) > MOST_SUMS:
        limit = f"fewer rows than {MOST_SUMS}: a shorter span, or one tenant"
        raise Invalid(Refusal("ledger", "by", by.value, limit))
    return [(str(key), _sums(rest)) for key, *rest in rows]


def charged(
    session: Session, window: Window, spread: Spread, site: str | None, tenant: str | None = None
) -> Chargeback:
    """Return what tenants are charged for their jobs and for what sites have of their own.

    What is a site's own is laid on all of its tenants, also where one alone is asked for.
    """
    everybody = Which(window, site)
    keys = [LedgerEntry.site, LedgerShare.tenant, LedgerShare.project]
    of_jobs = _summed(keys, everybody).where(LedgerShare.holder == Holder.JOB)
    own = _summed([LedgerEntry.site], everybody).where(LedgerShare.holder != Holder.JOB)
    used = [
        (site, tenant, project, _sums(rest))
        for site, tenant, project, *rest in session.execute(of_jobs.order_by(*keys))
    ]
    of_sites = [
        (site, _sums(rest)) for site, *rest in session.execute(own.order_by(LedgerEntry.site))
    ]
    whole = chargeback(used, of_sites, spread)
    if tenant is None:
        return whole
    return Chargeback(tuple(row for row in whole.rows if row.tenant == tenant), Sums())


@dataclass(frozen=True, slots=True)
class DayBeside:
    """What plans let expect of a day, and what it really was, in slots that a plan held for.

    ``expected`` and ``real`` have the same names; prices and intensities are means over slots,
    ``off_*`` the mean absolute difference by slot.
    """

    day: str
    slots: int
    planned_slots: int
    expected: Mapping[str, float]
    real: Mapping[str, float]
    off_price_eur_per_mwh: float
    off_carbon_g_per_kwh: float
    off_bought_kwh: float


def beside(session: Session, window: Window, site: str | None) -> list[DayBeside]:
    """Set forecast and plan beside reality, by day of the clock of ``site``, or by UTC for all.

    Of all sites they are read one by one: each has ``MOST_ENTRIES`` at most.
    """
    zone = zone_of(session, site)
    days: dict[str, _Day] = {}
    for one in sites_in(session) if site is None else [site]:
        for entry in entries(session, window, one):
            day = entry.start_at.astimezone(zone).date().isoformat()
            days.setdefault(day, _Day()).add(entry)
    return [_day_beside(day, sums) for day, sums in sorted(days.items())]


_MEANS = ("price_eur_per_mwh", "carbon_g_per_kwh")
_COMPARED = (
    "bought_kwh",
    "sold_kwh",
    "it_kwh",
    "charged_kwh",
    "discharged_kwh",
    "eur",
    "carbon_kg",
    *_MEANS,
)


def _zeros() -> dict[str, float]:
    return dict.fromkeys(_COMPARED, 0.0)


@dataclass(slots=True)
class _Day:
    """Sums of a day so far: of every figure what was expected, what was, and how far off by slot.

    Entries of many sites would take more room than their sums.
    """

    slots: int = 0
    planned_slots: int = 0
    expected: dict[str, float] = field(default_factory=_zeros)
    real: dict[str, float] = field(default_factory=_zeros)
    off: dict[str, float] = field(default_factory=_zeros)

    def add(self, entry: LedgerEntry) -> None:
        self.slots += 1
        if not entry.expected:
            return
        self.planned_slots += 1
        real = _real(entry)
        for name in _COMPARED:
            expected = float(entry.expected[name])
            self.expected[name] += expected
            self.real[name] += real[name]
            self.off[name] += abs(expected - real[name])


def _day_beside(day: str, sums: _Day) -> DayBeside:
    n = max(sums.planned_slots, 1)

    def told(of: Mapping[str, float]) -> dict[str, float]:
        return {name: of[name] / (n if name in _MEANS else 1) for name in _COMPARED}

    return DayBeside(
        day=day,
        slots=sums.slots,
        planned_slots=sums.planned_slots,
        expected=told(sums.expected),
        real=told(sums.real),
        off_price_eur_per_mwh=sums.off["price_eur_per_mwh"] / n,
        off_carbon_g_per_kwh=sums.off["carbon_g_per_kwh"] / n,
        off_bought_kwh=sums.off["bought_kwh"] / n,
    )


def _real(entry: LedgerEntry) -> dict[str, float]:
    values = columns_of(entry)
    names = ("bought_kwh", "sold_kwh", "charged_kwh", "discharged_kwh", "carbon_kg", *_MEANS)
    real: dict[str, float] = {name: values[name] for name in names}
    it_kwh = entry.jobs_kwh + entry.idle_kwh
    return real | {"eur": paid_eur(values), "it_kwh": it_kwh}


def intensities(session: Session, window: Window, site: str | None) -> list[str]:
    """Return the names of the carbon intensities that entries of ``window`` were reckoned by."""
    name = LedgerEntry.carbon_intensity
    found = select(name).where(*_of(Which(window, site)), latest_only())
    return list(session.scalars(found.distinct().order_by(name)))


def zone_of(session: Session, site: str | None) -> ZoneInfo:
    """Return the clock of a site, or UTC for all sites."""
    if site is None:
        return ZoneInfo("UTC")
    for one in fleets.required_spec(session).sites:
        if one.name == site:
            return ZoneInfo(one.time_zone)
    require_ledger(session, site)
    return ZoneInfo("UTC")  # it has left the fleet


def _of(which: Which) -> list[ColumnElement[bool]]:
    of_window = [
        LedgerEntry.start_at >= which.window.start,
        LedgerEntry.start_at < which.window.end,
    ]
    return of_window + ([] if which.site is None else [LedgerEntry.site == which.site])


def _summed(keys: Sequence[Any], which: Which) -> Select[Any]:
    share = LedgerShare
    named = [
        getattr(share, name) == value
        for name in ("tenant", "project", "job")
        if (value := getattr(which, name)) is not None
    ]
    measured = case((share.basis != Basis.MODELLED, share.kwh), else_=0.0)
    figures = [
        func.sum(share.kwh),
        func.sum(measured),
        func.sum(share.it_kwh),
        func.sum(share.gpu_hours),
        func.sum(share.eur),
        func.sum(share.carbon_kg),
        func.sum(share.marginal_kg),
        func.sum(case((share.marginal_kg.is_not(None), share.kwh), else_=0.0)),
        func.sum(share.embodied_kg),
        func.sum(case((share.embodied_kg.is_not(None), share.gpu_hours), else_=0.0)),
        func.sum(share.tokens),
        func.sum(case((share.tokens.is_not(None), share.kwh), else_=0.0)),
    ]
    return (
        select(*keys, *figures)
        .join(LedgerEntry, LedgerEntry.id == share.entry_id)
        .where(*_of(which), *named, latest_only())
        .group_by(*keys)
    )


def _sums(row: Sequence[float | None]) -> Sums:
    return Sums(*row)  # type: ignore[arg-type]
