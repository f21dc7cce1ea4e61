"""The ledger as it is kept: entries are added in a chain for each site, read, and examined."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import Table, and_, select, update
from sqlalchemy.orm import Session

from connectors.types import Window
from scheduler.db.inserts import insert_new
from scheduler.db.models import LedgerEntry, LedgerShare, LedgerSite
from scheduler.db.models.base import Base
from scheduler.ledger.account import Share
from scheduler.ledger.checks import digest_of, faults
from scheduler.services.errors import Invalid, Refusal
from scheduler.services.ledger_slots import Reckoned

Values = dict[str, Any]

_ENTRIES_AT_ONCE = 500
_NOT_CONTENT = frozenset({"id", "entry_id", "position", "hash"})
_OF_THE_ENTRY = frozenset(
    {"seq", "revision", "reckoned_at", "fleet_version", "previous_hash", "hash", "id"}
)
_NEARLY = 1e-9


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry with its shares, as columns by name."""

    entry: Values
    shares: tuple[Values, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a site's chain; before the first, -1 and an empty hash."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one entry."""

    site: str
    seq: int
    start_at: datetime
    what: str


def head_of(session: Session, site: str) -> Head:
    """Return where the chain of ``site`` ends."""
    last = session.execute(
        select(LedgerEntry.seq, LedgerEntry.hash)
        .where(LedgerEntry.site == site)
        .order_by(LedgerEntry.seq.desc())
        .limit(1)
    ).first()
    return Head(-1, "") if last is None else Head(last.seq, last.hash)


def standing_in(session: Session, window: Window, site: str) -> dict[datetime, Kept]:
    """Return the entries of ``site`` that stand for slots beginning in ``window``, by start."""
    rows = session.scalars(
        select(LedgerEntry).where(
            LedgerEntry.site == site,
            LedgerEntry.start_at >= window.start,
            LedgerEntry.start_at < window.end,
        )
    )
    latest: dict[datetime, LedgerEntry] = {}
    for row in rows:
        known = latest.get(row.start_at)
        if known is None or row.revision > known.revision:
            latest[row.start_at] = row
    shares = _shares(session, [row.id for row in latest.values()])
    return {
        start: Kept(columns_of(row), tuple(shares.get(row.id, ()))) for start, row in latest.items()
    }


def append(
    session: Session, site: str, reckoned: Sequence[Reckoned], seen: Head, now: datetime
) -> int | None:
    """Add what is new or other than what stands; return how many.

    ``seen`` is where the chain ended when it was reckoned: ``None`` is returned, and nothing added,
    where somebody has added since.
    """
    # Whoever adds waits here for the other; on SQLite this takes the lock to write as well.
    session.execute(
        update(LedgerSite).where(LedgerSite.site == site).values(began_at=LedgerSite.began_at)
    )
    if head_of(session, site) != seen:
        return None
    if not reckoned:
        return 0
    window = Window(reckoned[0].start_at, reckoned[-1].end_at)
    standing = standing_in(session, window, site)
    entries: list[Values] = []
    shares: list[Values] = []
    head = seen
    for one in reckoned:
        old = standing.get(one.start_at)
        new = Kept(_entry_values(site, one, now), tuple(map(_share_values, one.account.shares)))
        if old is not None and not _corrects(new, old):
            continue
        new.entry["revision"] = 0 if old is None else old.entry["revision"] + 1
        new.entry["seq"], new.entry["previous_hash"] = head.seq + 1, head.hash
        new.entry["hash"] = _hash_of(new)
        head = Head(new.entry["seq"], new.entry["hash"])
        entries.append(new.entry | {"id": (entry_id := uuid4())})
        shares += [
            share | {"entry_id": entry_id, "position": position}
            for position, share in enumerate(new.shares)
        ]
    insert_new(session, LedgerEntry, entries)
    insert_new(session, LedgerShare, shares)
    return len(entries)


def examine(session: Session, site: str) -> Iterator[Fault]:
    """Go through the chain of ``site`` and name everything that is wrong with it."""
    before = Head(-1, "")
    while True:
        rows = session.scalars(
            select(LedgerEntry)
            .where(LedgerEntry.site == site, LedgerEntry.seq > before.seq)
            .order_by(LedgerEntry.seq)
            .limit(_ENTRIES_AT_ONCE)
        ).all()
        if not rows:
            return
        shares = _shares(session, [row.id for row in rows])
        for row in rows:
            kept = Kept(columns_of(row), tuple(shares.get(row.id, ())))
            for what in _wrong_with(kept, before):
                yield Fault(site, row.seq, row.start_at, what)
            before = Head(row.seq, row.hash)
        session.expunge_all()


def sites_in(session: Session) -> list[str]:
    """Return every site that has entries."""
    return list(session.scalars(select(LedgerEntry.site).distinct().order_by(LedgerEntry.site)))


def missing(session: Session, expected: str) -> list[str]:
    """Say that an entry is not there that once was, told as ``site:number:hash``."""
    site, _, rest = expected.partition(":")
    number, _, digest = rest.partition(":")
    if not number.isdigit() or not digest:
        raise Invalid(Refusal("ledger", "expect", expected, "SITE:NUMBER:HASH"))
    of_site = select(LedgerEntry.hash).where(LedgerEntry.site == site)
    found = session.scalar(of_site.where(LedgerEntry.seq == int(number)))
    return [] if found == digest else [f"{site}: entry {number} is not the one with hash {digest}"]


def latest_only() -> Any:
    """Return the condition that an entry stands: that there is no later one of its slot."""
    later = LedgerEntry.__table__.alias("later")
    return (
        ~select(later.c.id)
        .where(
            and_(
                later.c.site == LedgerEntry.site,
                later.c.start_at == LedgerEntry.start_at,
                later.c.revision > LedgerEntry.revision,
            )
        )
        .exists()
    )


def _wrong_with(kept: Kept, before: Head) -> Iterator[str]:
    if kept.entry["seq"] != before.seq + 1:
        yield f"entries {before.seq + 1} to {kept.entry['seq'] - 1} are missing"
    if kept.entry["previous_hash"] != before.hash:
        yield "it does not follow from the entry before"
    if _hash_of(kept) != kept.entry["hash"]:
        yield "its values are not those that were written"
    yield from faults(kept.entry, kept.shares)


def _hash_of(kept: Kept) -> str:
    def content(values: Mapping[str, Any]) -> Values:
        return {name: value for name, value in values.items() if name not in _NOT_CONTENT}

    return digest_of(content(kept.entry), [content(share) for share in kept.shares])


def _corrects(new: Kept, old: Kept) -> bool:
    """Whether something else has become known; what is forgotten corrects nothing.

    Readings are kept for a while only: what was measured once stays so.
    """
    if set(old.entry["measured"]) - set(new.entry["measured"]):
        return False
    told = {share["job_id"]: share["tokens"] for share in new.shares}
    if any(
        share["tokens"] is not None and told.get(share["job_id"]) is None for share in old.shares
    ):
        return False
    return not _is_like(_told(old), _told(new))


def _told(kept: Kept) -> list[Any]:
    entry = [kept.entry[name] for name in sorted(kept.entry.keys() - _OF_THE_ENTRY)]
    shares = [
        [share[name] for name in sorted(share.keys() - _NOT_CONTENT)] for share in kept.shares
    ]
    return [entry, shares]


def _is_like(one: Any, other: Any) -> bool:
    """Whether they are the same but for rounding."""
    match one, other:
        case (float(), float()):
            return math.isclose(one, other, rel_tol=_NEARLY, abs_tol=_NEARLY)
        case (list(), list()):
            return len(one) == len(other) and all(map(_is_like, one, other))
        case (dict(), dict()):
            return one.keys() == other.keys() and all(_is_like(one[k], other[k]) for k in one)
        case _:
            return bool(one == other)


def _entry_values(site: str, one: Reckoned, now: datetime) -> Values:
    energy, money = one.account.energy, one.account.money
    values = {
        "site": site,
        "start_at": one.start_at,
        "minutes": one.minutes,
        "reckoned_at": now,
        "fleet_version": one.fleet_version,
        "pue": one.pue,
        "price_eur_per_mwh": one.price_eur_per_mwh,
        "carbon_intensity": one.carbon_intensity,
        "carbon_g_per_kwh": one.carbon_g_per_kwh,
        "marginal_g_per_kwh": one.marginal_g_per_kwh,
        "carbon_kg": one.account.carbon_kg,
        "marginal_kg": one.account.marginal_kg,
        "measured": list(one.measured),
        "estimated": list(one.estimated),
        "expected": dict(one.expected),
    }
    for part in (energy, money):
        values |= {name: float(getattr(part, name)) for name in part.__dataclass_fields__}
    return values


def _share_values(share: Share) -> Values:
    work = share.work
    return {
        "holder": share.holder,
        "job_id": None if work is None else work.job_id,
        "job": "" if work is None else work.job,
        "tenant": "" if work is None else work.tenant,
        "project": "" if work is None else work.project,
        "basis": share.basis,
        "kwh": share.kwh,
        "it_kwh": share.it_kwh,
        "gpu_hours": 0.0 if work is None else work.gpu_hours,
        "eur": share.eur,
        "carbon_kg": share.carbon_kg,
        "marginal_kg": share.marginal_kg,
        "embodied_kg": None if work is None else work.embodied_kg,
        "tokens": None if work is None else work.tokens,
    }


def columns_of(row: Base) -> Values:
    """Return the columns of a row, by name."""
    table = cast("Table", row.__table__)
    return {column.name: getattr(row, column.name) for column in table.columns}


def _shares(session: Session, entries: Sequence[UUID]) -> dict[UUID, list[Values]]:
    """Return the shares of ``entries``, in order."""
    found: dict[UUID, list[Values]] = {}
    for first in range(0, len(entries), _ENTRIES_AT_ONCE):
        some = entries[first : first + _ENTRIES_AT_ONCE]
        rows = session.scalars(
            select(LedgerShare)
            .where(LedgerShare.entry_id.in_(some))
            .order_by(LedgerShare.entry_id, LedgerShare.position)
        )
        for row in rows:
            found.setdefault(row.entry_id, []).append(columns_of(row))
    return found
