"""Pools of GPUs as the clusters of the sites last saw them."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import Field

from scheduler.api.auth import SubmitterDep
from scheduler.api.context import SessionDep
from scheduler.api.views import View
from scheduler.db.models import Role
from scheduler.services.pool_states import list_pools

router = APIRouter(prefix="/v1/pools", tags=["fleet"])


class PoolView(View):
    """GPUs of one pool; available are all but the drained and the failed."""

    site: str
    pool: str
    gpus_total: int
    gpus_available: int
    gpus_in_use: int
    gpus_of_others: int
    clock_ahead_s: float | None = Field(
        description="Its cluster's clock, of the dispatcher's [s]; None: it does not tell."
    )
    seen_at: datetime
    silent_since: datetime | None
    silence: str = Field(description="Why its cluster did not answer when it was last asked.")


@router.get("")
def list_pools_seen(session: SessionDep, caller: SubmitterDep) -> list[PoolView]:
    """List what every cluster last said of its pools. The next plan goes by it.

    Where `silent_since` is set, its cluster does not answer; where it never has, the GPUs are those
    that the fleet says. `silence` is for operators: a cluster may quote who asked, and how.
    """
    found = [PoolView.model_validate(row) for row in list_pools(session)]
    if caller.role.includes(Role.OPERATOR):
        return found
    return [pool.model_copy(update={"silence": ""}) for pool in found]
