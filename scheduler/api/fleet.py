"""The fleet and its sites."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path

from scheduler.api.auth import AdminDep, SubmitterDep
from scheduler.api.context import ApiContext, ContextDep, NowDep, SessionDep
from scheduler.api.views import View
from scheduler.db.models import FleetVersion
from scheduler.services import fleet
from scheduler.services.errors import Invalid, NotFound
from scheduler.specs import FleetSpec
from scheduler.specs.fleet import SiteSpec

router = APIRouter(prefix="/v1", tags=["fleet"])

VersionNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]  # what an integer column holds


class FleetView(View):
    """One version of the fleet."""

    version: int
    created_at: datetime
    created_by: str
    spec: FleetSpec


def _view(version: FleetVersion) -> FleetView:
    return FleetView(
        version=version.id,
        created_at=version.created_at,
        created_by=version.created_by,
        spec=fleet.spec_of(version),
    )


@router.get("/fleet")
def get_fleet(session: SessionDep, _caller: SubmitterDep) -> FleetView:
    """Show the fleet that new plans are made for."""
    return _view(fleet.current(session))


@router.put("/fleet")
def put_fleet(
    body: FleetSpec, session: SessionDep, caller: AdminDep, now: NowDep, context: ContextDep
) -> FleetView:
    """Replace the whole fleet: sites, links, planning rules and triggers.

    This makes a new version; old plans keep theirs. The same fleet again makes none.
    """
    return _connected(context, fleet.replace_fleet(session, body, caller.name, now))


@router.get("/fleet/versions/{version}")
def get_fleet_version(
    version: VersionNumber, session: SessionDep, _caller: SubmitterDep
) -> FleetView:
    """Show an old or the present version, for example the one a plan was made for."""
    return _view(fleet.get_version(session, version))


@router.get("/sites")
def list_sites(session: SessionDep, _caller: SubmitterDep) -> list[SiteSpec]:
    """List the sites of the present fleet."""
    return list(fleet.spec_of(fleet.current(session)).sites)


@router.get("/sites/{name}")
def get_site(name: str, session: SessionDep, _caller: SubmitterDep) -> SiteSpec:
    """Show one site of the present fleet."""
    for site in fleet.spec_of(fleet.current(session)).sites:
        if site.name == name:
            return site
    raise NotFound("site", name)


@router.put("/sites/{name}")
def put_site(
    name: str,
    body: SiteSpec,
    session: SessionDep,
    caller: AdminDep,
    now: NowDep,
    context: ContextDep,
) -> FleetView:
    """Replace one site, or add it to the fleet. This makes a new version of the fleet."""
    return _connected(context, fleet.replace_site(session, name, body, caller.name, now))


def _connected(context: ApiContext, version: FleetVersion) -> FleetView:
    """Show ``version`` if all of it can be connected to from here; else it is undone."""
    view = _view(version)
    refusals = context.outside_of(view.spec).refusals
    if refusals:
        raise Invalid(*refusals)
    return view
