"""The fleet in force: its newest version. Changing it makes a new version, never edits one."""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from scheduler.db.models import OPEN_STATUSES, DataTransfer, FleetVersion, Job, JobStatus
from scheduler.services.errors import Conflict, Invalid, NotFound, Refusal
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import SiteSpec

_MOVING = (JobStatus.WAITING, JobStatus.QUEUED, JobStatus.RUNNING)


class NoFleet(Conflict):
    """The request means nothing before a fleet was set."""

    def __init__(self) -> None:
        super().__init__(
            "no fleet has been set yet; an admin puts one first: gridtide fleet put, PUT /v1/fleet"
        )


class NoFleetYet(NotFound):
    """There is none to show."""

    def __init__(self) -> None:
        super().__init__("fleet", "current")
        self.args = (str(NoFleet()),)


def find_current(session: Session) -> FleetVersion | None:
    """Return the newest version, or ``None`` where none was ever set."""
    return session.scalar(select(FleetVersion).order_by(FleetVersion.id.desc()).limit(1))


def current(session: Session) -> FleetVersion:
    """Return the newest version; ``NotFound`` where none was ever set."""
    version = find_current(session)
    if version is None:
        raise NoFleetYet
    return version


def get_version(session: Session, version: int) -> FleetVersion:
    """Return one version, old or new."""
    found = session.get(FleetVersion, version)
    if found is None:
        raise NotFound("fleet version", version)
    return found


def required_spec(session: Session) -> FleetSpec:
    """Spec in force, for requests that mean nothing without a fleet."""
    version = find_current(session)
    if version is None:
        raise NoFleet
    return spec_of(version)


def spec_of(version: FleetVersion) -> FleetSpec:
    """Read the spec a version holds."""
    return FleetSpec.model_validate(version.spec)


def replace_fleet(session: Session, spec: FleetSpec, by: str, now: datetime) -> FleetVersion:
    """Put ``spec`` in force. The spec that is already in force makes no new version.

    Raises
    ------
    Conflict
        A site that is running jobs, or that data of jobs is moving to, would vanish; or somebody
        else changed the fleet meanwhile.
    """
    return _replace(session, find_current(session), spec, by, now)


def replace_site(
    session: Session, name: str, site: SiteSpec, by: str, now: datetime
) -> FleetVersion:
    """Replace the site called ``name``, or add it at the end where there is none."""
    if site.name != name:
        raise Invalid(Refusal(f"site {name}", "name", site.name, f"{name!r}, as in the address"))
    version = find_current(session)
    if version is None:
        raise NoFleet
    fleet = spec_of(version)
    sites = tuple(site if old.name == name else old for old in fleet.sites)
    if name not in {old.name for old in fleet.sites}:
        sites = (*fleet.sites, site)
    # Built anew, not copied: the fleet must be consistent with the new site in it.
    try:
        spec = FleetSpec.model_validate(fleet.model_dump() | {"sites": sites})
    except ValidationError as error:
        raise Invalid.from_validation(f"site {name}", error) from error
    return _replace(session, version, spec, by, now)


def _replace(
    session: Session, version: FleetVersion | None, spec: FleetSpec, by: str, now: datetime
) -> FleetVersion:
    """Make the version after ``version``; two that were made from the same one clash."""
    document = spec.model_dump(mode="json")
    if version is not None and version.spec == document:
        return version
    _require_no_orphans(session, spec)
    number = 1 if version is None else version.id + 1
    changed = FleetVersion(id=number, spec=document, created_at=now, created_by=by)
    try:
        with session.begin_nested():
            session.add(changed)
    except IntegrityError as error:
        raise Conflict(f"fleet version {number} was made by somebody else meanwhile") from error
    return changed


def _require_no_orphans(session: Session, spec: FleetSpec) -> None:
    # One that waits and has a site was handed to its cluster, which may be starting it.
    known = [site.name for site in spec.sites]
    orphan = session.scalar(
        select(Job).where(Job.status.in_(OPEN_STATUSES), Job.site.not_in(known)).limit(1)
    )
    if orphan is not None:
        raise Conflict(f"site {orphan.site} still has job {orphan.name} ({orphan.status.value})")
    _require_no_moving_data(session, known)


def _require_no_moving_data(session: Session, known: list[str]) -> None:
    # One that waits was ordered, and its cluster may be starting it; one that is paused may stay.
    moving = session.execute(
        select(DataTransfer.site, DataTransfer.status, Job.name)
        .join(Job, Job.id == DataTransfer.job_id)
        .where(
            DataTransfer.status.in_(_MOVING),
            DataTransfer.site.not_in(known),
            Job.status.in_(OPEN_STATUSES),
        )
        .limit(1)
    ).first()
    if moving is not None:
        site, status, name = moving
        raise Conflict(f"site {site} is still being brought data of job {name} ({status.value})")
