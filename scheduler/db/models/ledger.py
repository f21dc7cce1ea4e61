"""The ledger: what every slot of every site came to, and whose it was.

Entries and shares are only ever added. A correction is another entry of the same slot with the next
revision; the latest stands.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.db.models.base import Base
from scheduler.db.types import enum_by_value
from scheduler.ledger.account import Basis, Holder


class LedgerEntry(Base):
    """One slot of one site, as it was reckoned once. Never updated.

    ``seq`` counts the entries of the site; ``hash`` is of all columns but ``id``, of the shares,
    and with ``previous_hash`` of every entry before.
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (
        # Of any number of workers that reckon at once, one adds.
        UniqueConstraint("site", "seq"),
        UniqueConstraint("site", "start_at", "revision"),
        CheckConstraint("minutes > 0", name="minutes_positive"),
        CheckConstraint("revision >= 0", name="revision_nonnegative"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    site: Mapped[str]
    seq: Mapped[int]  # from 0
    start_at: Mapped[datetime]
    minutes: Mapped[int]
    revision: Mapped[int]  # 0 is the first; another one is a correction
    reckoned_at: Mapped[datetime]
    fleet_version: Mapped[int]
    # See ``scheduler.ledger.account.Energy``.
    bought_kwh: Mapped[float]
    sold_kwh: Mapped[float]
    generated_kwh: Mapped[float]
    curtailed_kwh: Mapped[float]
    charged_kwh: Mapped[float]
    discharged_kwh: Mapped[float]
    jobs_kwh: Mapped[float]
    idle_kwh: Mapped[float]
    overhead_kwh: Mapped[float]
    base_load_kwh: Mapped[float]
    unexplained_kwh: Mapped[float]
    energy_eur: Mapped[float]
    network_eur: Mapped[float]
    sold_eur: Mapped[float]
    generation_eur: Mapped[float]
    storage_wear_eur: Mapped[float]
    pue: Mapped[float]
    price_eur_per_mwh: Mapped[float]
    carbon_intensity: Mapped[str]  # which average it is
    carbon_g_per_kwh: Mapped[float]
    marginal_g_per_kwh: Mapped[float | None]  # None: nobody tells it
    carbon_kg: Mapped[float]
    marginal_kg: Mapped[float | None]
    measured: Mapped[list[str]]  # what was metered; all else is modelled
    estimated: Mapped[list[str]]  # signals that nobody published for the slot
    expected: Mapped[dict[str, Any]]  # by the plan that held; empty: there was none
    previous_hash: Mapped[str]  # empty: it is the first of its site
    hash: Mapped[str]


class LedgerShare(Base):
    """What one job, or the site itself, has of one entry. Never updated."""

    __tablename__ = "ledger_share"

    entry_id: Mapped[UUID] = mapped_column(ForeignKey("ledger_entry.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    holder: Mapped[Holder] = mapped_column(enum_by_value(Holder))
    job_id: Mapped[UUID | None]
    job: Mapped[str]  # its name; empty: of no job, as are tenant and project then
    tenant: Mapped[str]
    project: Mapped[str]
    basis: Mapped[Basis] = mapped_column(enum_by_value(Basis))
    kwh: Mapped[float]  # at the meter, with PUE
    it_kwh: Mapped[float]
    gpu_hours: Mapped[float]
    eur: Mapped[float]
    carbon_kg: Mapped[float]
    marginal_kg: Mapped[float | None]
    embodied_kg: Mapped[float | None]  # of its GPUs; None: the fleet does not say
    tokens: Mapped[float | None]  # None: it tells none


class LedgerSite(Base):
    """Since when there is a ledger of a site, and from which day on it is still looked at."""

    __tablename__ = "ledger_site"

    site: Mapped[str] = mapped_column(primary_key=True)
    began_at: Mapped[datetime]
    open_from: Mapped[datetime]


class LedgerDay(Base):
    """When a day (UTC) of a site was last looked at."""

    __tablename__ = "ledger_day"

    site: Mapped[str] = mapped_column(primary_key=True)
    day_at: Mapped[datetime] = mapped_column(primary_key=True)
    looked_at: Mapped[datetime]
