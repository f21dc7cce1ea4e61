"""The one base of every spec: frozen, and a field nobody knows is an error, not ignored.

Every number, list and instant has an upper limit, far above any real one: a value that nothing can
reckon with must be refused where it comes in, not met in the middle of a plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
MOST = 1e9
MONTH_MINUTES = 31 * 24 * 60
YEAR_HOURS = 366 * 24


class Spec(BaseModel):
    """Base of everything users write."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _to_utc(instant: datetime) -> datetime:
    # Compared before it is converted: near the ends of the calendar the conversion overflows.
    if not EARLIEST <= instant < LATEST:
        raise ValueError(f"an instant must be within [{EARLIEST:%Y-%m-%d}, {LATEST:%Y-%m-%d})")
    return instant.astimezone(UTC)


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("text must not hold the character NUL")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("text must be Unicode, without half of a surrogate pair") from error
    return text


def _known_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"time zone {name!r} is not in the IANA database") from error
    return name


Instant = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An instant with an offset, kept in UTC; from 1970 to 2199. A naive one is refused."""

Text = Annotated[str, AfterValidator(_storable)]
"""Free text that every database and every process can take: no NUL, no lone surrogate."""

Name = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]*$")]
"""Letters, digits, dot, underscore and dash: safe in paths, labels and URLs."""

NonNegative = Annotated[float, Field(ge=0, le=MOST)]
Positive = Annotated[float, Field(gt=0, le=MOST)]
Minutes = Annotated[float, Field(ge=0, le=MONTH_MINUTES)]
"""A duration within a plan [min]: at most 31 days."""


TimeZone = Annotated[str, AfterValidator(_known_time_zone)]
"""An IANA time zone."""


def require_unique(owner: str, field: str, names: Iterable[str]) -> None:
    """Refuse a name that occurs twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{owner}: {field} {name!r} occurs twice")
        seen.add(name)
