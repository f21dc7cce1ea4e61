"""Asks ``gridstatus`` for day-ahead prices. Runs in the Python that has it, and imports no other.

Arguments: operator, location, first and last local day (``YYYY-MM-DD``, both inclusive), and how
long to wait after a question to CAISO, which allows one every five seconds [s]. What it finds goes
to standard output as one JSON object, ``{"rows": [[start, end, price], ...]}`` with instants in
UTC, or ``{"error": kind, "text": ...}`` with a kind of ``unavailable``, ``rejected`` or ``broken``.
Nothing else of ours is loaded: it has to run where Gridtide is not installed.
"""

from __future__ import annotations

import datetime
import json
import sys
import warnings
from typing import Any

_MOST_SHOWN = 20


class UnknownLocation(ValueError):
    """The operator has prices of that day, but none there."""


def main() -> None:
    """Answer the question on the command line."""
    warnings.simplefilter("ignore")
    out, sys.stdout = sys.stdout, sys.stderr  # the library prints as it goes
    try:
        answer: dict[str, Any] = {"rows": _rows(*sys.argv[1:])}
    except Exception as error:  # noqa: BLE001  # whatever it is, the parent names it
        answer = {"error": _kind_of(error), "text": f"{type(error).__name__}: {error}"}
    json.dump(answer, out)


def _rows(operator: str, location: str, first: str, last: str, pause_s: str) -> list[list[Any]]:
    import gridstatus  # noqa: PLC0415 - so that its absence is an answer
    import pandas as pd  # noqa: PLC0415

    statuses = _watched_statuses()
    found = []
    for day in pd.date_range(first, last, freq="D"):
        try:
            if operator == "CAISO":
                frame = _caiso(gridstatus, f"{day:%Y-%m-%d}", location, float(pause_s))
            else:
                frame = _PRICES[operator](gridstatus, f"{day:%Y-%m-%d}", location)
        except gridstatus.base.NoDataFoundException as error:
            if statuses and _may_pass(statuses[-1]):  # what it takes for no data is trouble
                raise ConnectionError(f"HTTP {statuses[-1]} of {operator}") from error
            continue  # not published yet
        found += [
            [start.tz_convert("UTC").isoformat(), end.tz_convert("UTC").isoformat(), float(price)]
            for start, end, price in frame.itertuples(index=False)
        ]
    return found


def _watched_statuses() -> list[int]:
    """Return a list that every answer from now on adds its HTTP status to."""
    import requests  # noqa: PLC0415

    statuses: list[int] = []
    sessions: Any = requests.Session
    send = sessions.send

    def watched(session: Any, request: Any, **how: Any) -> Any:
        answer = send(session, request, **how)
        statuses.append(answer.status_code)
        return answer

    sessions.send = watched
    return statuses


def _caiso(library: Any, day: str, location: str, pause_s: float) -> Any:
    # Without an end it asks for 24 hours, also of the days that have 23 or 25.
    after = datetime.date.fromisoformat(day) + datetime.timedelta(days=1)
    frame = library.CAISO().get_oasis_dataset(
        "lmp_day_ahead_hourly",
        day,
        end=str(after),
        params={"node": location},
        raw_data=False,
        sleep=pause_s,
        error="raise",
    )
    if frame.empty:
        raise library.base.NoDataFoundException
    return _at(frame[frame["LMP_TYPE"] == "LMP"], ("NODE",), location, "MW")


def _nyiso(library: Any, day: str, location: str) -> Any:
    market = library.Markets.DAY_AHEAD_HOURLY
    frame = library.NYISO().get_lmp(day, market=market, location_type="zone")
    return _at(frame, ("Location",), location, "LMP")


def _ercot(library: Any, day: str, location: str) -> Any:
    frame = library.Ercot().get_spp(day, market=library.Markets.DAY_AHEAD_HOURLY)
    return _at(frame, ("Location",), location, "SPP")


def _pjm(library: Any, day: str, location: str) -> Any:
    market, pjm = library.Markets.DAY_AHEAD_HOURLY, library.PJM()
    if location.isdecimal():
        frame = pjm.get_lmp(day, market=market, locations=[int(location)])
        return frame[["Interval Start", "Interval End", "LMP"]]
    names = ("Location Short Name", "Location Name")
    try:
        return _at(pjm.get_lmp(day, market=market, location_type="HUB"), names, location, "LMP")
    except UnknownLocation:
        return _at(pjm.get_lmp(day, market=market, location_type="ZONE"), names, location, "LMP")


_PRICES = {"NYISO": _nyiso, "ERCOT": _ercot, "PJM": _pjm}


def _at(frame: Any, columns: tuple[str, ...], location: str, price: str) -> Any:
    """Return start, end and price of the rows of one location."""
    if frame.empty:
        return frame[["Interval Start", "Interval End", price]]
    for column in columns:
        here = frame[frame[column].astype(str) == location]
        if len(here):
            return here[["Interval Start", "Interval End", price]]
    known = sorted(set(frame[columns[0]].astype(str)))
    shown = ", ".join(known[:_MOST_SHOWN]) + (", ..." if len(known) > _MOST_SHOWN else "")
    raise UnknownLocation(f"location = {location!r}, must be one of {shown}")


def _kind_of(error: Exception) -> str:
    """Tell what may pass from what will not, by what the error says of itself."""
    status = getattr(getattr(error, "response", None), "status_code", getattr(error, "code", None))
    if isinstance(status, int):
        return "unavailable" if _may_pass(status) else "rejected"
    if isinstance(error, OSError):  # those of requests and urllib are
        return "unavailable"
    return "rejected" if isinstance(error, (ImportError, ValueError)) else "broken"


def _may_pass(status: int) -> bool:
    return status == 429 or status >= 500


if __name__ == "__main__":
    main()
