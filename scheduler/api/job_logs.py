"""What a job wrote, from the cluster that runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

from connectors.protocols import Cluster
from scheduler.api.auth import SubmitterDep
from scheduler.api.context import ContextDep, SessionDep
from scheduler.services import fleet, jobs
from scheduler.services.dispatch_orders import transfer_key
from scheduler.services.errors import Conflict, NotFound
from scheduler.services.transfers import transfers_of

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

MOST_FOLLOWERS = 50
FOLLOW_FOR_S = 6 * 3600.0


class TooManyFollowers(Exception):
    """As many logs are followed as this process can look at; try again later."""


class Followers:
    """Counts those who follow a log now."""

    def __init__(self) -> None:
        self._now = 0

    def require_room(self) -> None:
        """Raise ``TooManyFollowers`` where there are as many as may be."""
        if self._now >= MOST_FOLLOWERS:
            raise TooManyFollowers(f"{self._now} logs are followed already; try again later")

    async def follow(self, lines: AsyncIterator[str]) -> AsyncIterator[str]:
        """Yield ``lines`` until they end, or until it has been long enough."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + FOLLOW_FOR_S
        self._now += 1
        try:
            with suppress(StopAsyncIteration):
                while True:
                    yield await asyncio.wait_for(anext(lines), end_s - loop.time())
        except TimeoutError:
            yield f"(followed for {FOLLOW_FOR_S / 3600:g} h; ask again to go on)"
        finally:
            self._now -= 1


def _log_of(
    job: str, session: SessionDep, _caller: SubmitterDep, context: ContextDep
) -> tuple[Cluster, str]:
    """Find the cluster that runs ``job`` and the key it knows it by."""
    found = jobs.find_job(session, job)
    if found.site is None:
        raise Conflict(f"job {found.name} is {found.status.value}: it has not been started yet")
    return _cluster_at(found.site, session, context), str(found.id)


def _transfer_log_of(
    job: str, site: str, session: SessionDep, _caller: SubmitterDep, context: ContextDep
) -> tuple[Cluster, str]:
    """Find the cluster that was to bring the data of ``job`` to ``site``, and the key there."""
    found = jobs.find_job(session, job)
    transfers = transfers_of(session, [found.id]).get(found.id, [])
    if site not in {transfer.site for transfer in transfers}:
        raise NotFound(f"transfer of the data of job {found.name} to site", site)
    return _cluster_at(site, session, context), transfer_key(found.id, site)


def _cluster_at(site: str, session: SessionDep, context: ContextDep) -> Cluster:
    clusters = context.outside_of(fleet.required_spec(session)).clusters
    if site not in clusters:
        raise NotFound("cluster for site", site)
    return clusters[site]


@router.get(
    "/{job}/logs",
    response_class=PlainTextResponse,
    responses={200: {"description": "What the job wrote, one line after the other."}},
)
async def job_logs(
    request: Request,
    log: Annotated[tuple[Cluster, str], Depends(_log_of, scope="function")],
    follow: Annotated[bool, Query(description="Go on until the job ends.")] = False,
) -> StreamingResponse:
    """Show what the job wrote, oldest line first, through all its runs.

    `follow` goes on for six hours at most. Too many followers at once are asked to come back (503).
    """
    return await _text(request, log, follow=follow)


@router.get(
    "/{job}/transfers/{site}/logs",
    response_class=PlainTextResponse,
    responses={200: {"description": "What it wrote, one line after the other."}},
)
async def transfer_logs(
    request: Request,
    log: Annotated[tuple[Cluster, str], Depends(_transfer_log_of, scope="function")],
    follow: Annotated[bool, Query(description="Go on until the transfer ends.")] = False,
) -> StreamingResponse:
    """Show what the command wrote that brings the data of a job to a site, as for a job."""
    return await _text(request, log, follow=follow)


async def _text(request: Request, log: tuple[Cluster, str], *, follow: bool) -> StreamingResponse:
    cluster, key = log
    followers: Followers = request.app.state.log_followers
    if follow:
        followers.require_room()
    # Asked for before the answer begins, so that a cluster that refuses is an error, not a stub;
    # without following, so that a job that writes nothing does not keep the answer waiting.
    await anext(cluster.logs(key), None)
    lines = cluster.logs(key, follow=follow)
    text = _ended(followers.follow(lines) if follow else lines)
    return StreamingResponse(text, media_type="text/plain; charset=utf-8")


async def _ended(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for line in lines:
        yield f"{line}\n"
