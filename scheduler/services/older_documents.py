"""Plan documents as earlier versions wrote them, turned into what is written now.

A stored plan is never edited, so what it holds is understood as it is read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from scheduler.tariffs.demand import OWN_PEAK
from scheduler.tariffs.local_time import local_hour


def peak_as_peaks(record: dict[str, Any]) -> dict[str, Any]:
    """Give each site of the problem a list of peaks where it has the one peak of version 0.1.

    That one was of the month the window begins in.
    """
    problem = record.get("problem")
    sites = problem.get("sites") if isinstance(problem, dict) else None
    if not isinstance(sites, list) or not any(_is_older(site) for site in sites):
        return record
    renewed = [_renewed(site, record) if _is_older(site) else site for site in sites]
    return record | {"problem": {**record["problem"], "sites": renewed}}


def _is_older(site: Any) -> bool:
    return isinstance(site, dict) and "peak" in site and "peaks" not in site


def _renewed(site: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in site.items() if name != "peak"}
    peak = site["peak"]
    if peak is None:
        return rest | {"peaks": []}
    return rest | {"peaks": [peak | {"name": f"{OWN_PEAK} {_month(site['name'], record)}"}]}


def _month(site: str, record: dict[str, Any]) -> str:
    zones = {spec["name"]: spec["time_zone"] for spec in record["fleet"]["sites"]}
    start = datetime.fromisoformat(record["window"]["start"])
    return local_hour(start, ZoneInfo(zones[site])).month
