"""Links between sites: what the fleet says of each, and what transfers over it came to."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from scheduler.api.auth import SubmitterDep
from scheduler.api.context import SessionDep
from scheduler.api.views import View
from scheduler.services.fleet import required_spec
from scheduler.services.transfers import link_totals

router = APIRouter(prefix="/v1/links", tags=["fleet"])


class LinkView(View):
    """One link, and the transfers that are done."""

    from_site: str
    to_site: str
    gb_per_hour: float = Field(description="As the fleet has it: plans reckon with it.")
    eur_per_gb: float
    transfers: int
    moved_gb: float
    paid_eur: float
    mean_gb_per_hour: float | None = Field(
        description="What transfers without a retry came at; None: there was none yet."
    )


@router.get("")
def list_links(session: SessionDep, _caller: SubmitterDep) -> list[LinkView]:
    """List the links of the fleet, each beside what its transfers came to.

    Where `mean_gb_per_hour` is far from `gb_per_hour`, mend the link in the fleet: a plan that
    reckons with too much starts jobs late, with too little it keeps them waiting.
    """
    totals = {(one.from_site, one.to_site): one for one in link_totals(session)}
    views = []
    for link in required_spec(session).links:
        done = totals.get((link.from_site, link.to_site))
        views.append(
            LinkView(
                from_site=link.from_site,
                to_site=link.to_site,
                gb_per_hour=link.gb_per_hour,
                eur_per_gb=link.eur_per_gb,
                transfers=0 if done is None else done.transfers,
                moved_gb=0.0 if done is None else done.gb,
                paid_eur=0.0 if done is None else done.eur,
                mean_gb_per_hour=None if done is None else done.gb_per_hour,
            )
        )
    return views
