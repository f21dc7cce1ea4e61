"""What a top node (VTN) sends, read leniently: 3.1.0 and 3.0.1 alike, unknown fields passed over.

Each object is read by itself, so that a bad one spoils no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)

from connectors.vpp.openadr3.instants import ZERO, Duration, read_duration, read_instant
from connectors.vpp.openadr3.timing import EventTiming, Period

MOST_INTERVALS = 2000
_MOST_LISTED = 200
_MOST_SHOWN = 300


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, is {type(value).__name__}")  # noqa: TRY004 - for pydantic
    return value


def _instant(value: object) -> datetime | None:
    return None if value in {None, ""} else read_instant(_text(value))


def _length(value: object) -> Duration | None:
    return None if value in {None, ""} else read_duration(_text(value))


def _none_is_empty(value: object) -> object:
    return () if value is None else value


@dataclass(frozen=True, slots=True)
class Target:
    """Whom an object is for; ``kind`` is empty in 3.1.0, such as ``VEN_NAME`` in 3.0.1."""

    kind: str
    word: str


def _targets(value: object) -> tuple[Target, ...]:
    """Read targets: words in 3.1.0, in 3.0.1 lists of words under a type."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > _MOST_LISTED:
        raise ValueError(f"targets must be a list of at most {_MOST_LISTED}")
    found: list[Target] = []
    for each in value:
        kind = _text(each.get("type")) if isinstance(each, dict) else ""
        words = each.get("values") if isinstance(each, dict) else [each]
        if not isinstance(words, list) or len(found) + len(words) > _MOST_LISTED:
            raise ValueError(f"targets must name at most {_MOST_LISTED} words in lists")
        found += [Target(kind, _text(word)) for word in words]
    return tuple(found)


Name = Annotated[str, Field(min_length=1, max_length=128)]
Id = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
Instant = Annotated[datetime | None, BeforeValidator(_instant)]
Length = Annotated[Duration | None, BeforeValidator(_length)]
Targets = Annotated[tuple[Target, ...], BeforeValidator(_targets)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)


class WirePeriod(_Wire):
    """A period; every field may be missing."""

    start: Instant = None
    duration: Length = None
    random_start: Length = Field(default=None, alias="randomizeStart")

    @property
    def period(self) -> Period:
        """The same in our words."""
        return Period(self.start, self.duration, self.random_start)


class WirePayload(_Wire):
    """Values of one type."""

    type: Name
    values: Annotated[tuple[Any, ...], Field(max_length=MOST_INTERVALS)]


class WireInterval(_Wire):
    """What holds in one interval; its number is an echo for reports, not an order."""

    id: int = 0
    period: WirePeriod | None = Field(default=None, alias="intervalPeriod")
    payloads: Annotated[tuple[WirePayload, ...], Field(max_length=_MOST_LISTED)] = ()


class WireDescriptor(_Wire):
    """In which unit values of a type are."""

    payload_type: Name = Field(alias="payloadType")
    units: str | None = None
    currency: str | None = None


def _default_if_none(value: object, info: ValidationInfo) -> object:
    return WireReport.model_fields[info.field_name or ""].default if value is None else value


Count = Annotated[int, Field(ge=-(2**31), lt=2**31), BeforeValidator(_default_if_none)]
Flag = Annotated[bool, BeforeValidator(_default_if_none)]


class WireReport(_Wire):
    """Of which type a report is asked for, and when; numbers count intervals."""

    payload_type: Name = Field(alias="payloadType")
    reading_type: str | None = Field(default=None, alias="readingType")
    units: str | None = None
    targets: Targets = ()
    aggregate: Flag = False
    start_interval: Count = Field(default=-1, alias="startInterval")
    num_intervals: Count = Field(default=-1, alias="numIntervals")
    historical: Flag = True
    frequency: Count = -1
    repeat: Count = 1
    report_intervals: str | None = Field(default=None, alias="reportIntervals")


Reports = Annotated[
    tuple[WireReport, ...], Field(max_length=_MOST_LISTED), BeforeValidator(_none_is_empty)
]

Descriptors = Annotated[
    tuple[WireDescriptor, ...], Field(max_length=_MOST_LISTED), BeforeValidator(_none_is_empty)
]
Intervals = Annotated[
    tuple[WireInterval, ...], Field(max_length=MOST_INTERVALS), BeforeValidator(_none_is_empty)
]


class WireEvent(_Wire):
    """An event."""

    id: Id
    program: Id = Field(alias="programID")
    created_at: Instant = Field(default=None, alias="createdDateTime")
    modified_at: Instant = Field(default=None, alias="modificationDateTime")
    priority: Annotated[int, Field(ge=0)] | None = None  # 0 is the highest, none the lowest
    duration: Length = None
    targets: Targets = ()
    reports: Reports = Field(default=(), alias="reportDescriptors")
    descriptors: Descriptors = Field(default=(), alias="payloadDescriptors")
    period: WirePeriod | None = Field(default=None, alias="intervalPeriod")
    intervals: Intervals = ()

    @property
    def issued_at(self) -> datetime | None:
        """When it was said last, as far as it says."""
        said = self.modified_at or self.created_at
        return None if said == ZERO else said

    def says_any(self, types: AbstractSet[str]) -> bool:
        """Whether any of its payloads is of one of these types."""
        return any(each.type in types for one in self.intervals for each in one.payloads)

    def timing(self, said_at: datetime, *, zero_lasts: bool) -> EventTiming:
        """Return when it holds, as far as it says."""
        nothing = WirePeriod()
        each = tuple((interval.period or nothing).period for interval in self.intervals)
        own = (self.period or nothing).period
        return EventTiming(said_at, own, each, self.duration, zero_lasts)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An event that cannot be used; ``id`` is empty where not even that can be read."""

    id: str
    reason: str


def read_events(items: Sequence[object]) -> tuple[list[WireEvent], list[Unreadable]]:
    """Read each event by itself."""
    events, bad = [], []
    for item in items:
        try:
            events.append(WireEvent.model_validate(item))
        except ValidationError as error:
            said = item.get("id") if isinstance(item, dict) else None
            known = said if isinstance(said, str) and len(said) <= 128 else ""
            bad.append(Unreadable(known, _problem(error)))
    return events, bad


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}"[:_MOST_SHOWN]
