"""What to do with each message of a batch, from what is known alone: no clock, no database.

Decode, validate, find what comes twice, and put the rest in the order of its own time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from connectors.types import SignalKind, StreamMessage
from scheduler.services.errors import Refusal, must_be
from scheduler.services.signals import SignalPoint, impossible_values
from scheduler.specs import FleetSpec
from scheduler.specs.message import MESSAGE, Message, SignalMessage, TelemetryMessage
from scheduler.specs.message import TelemetrySeries as Series

MOST_BYTES = 16 * 1024
"""Longest body of one message."""

CLOCKS_APART = timedelta(minutes=5)
"""How far the clock of a sender may be ahead; what it dates later than now counts as of now."""

_DIGEST_BYTES = 16
_LONGEST_REASON = 500
_OF_BATTERIES = (Series.BATTERY_POWER, Series.BATTERY_SOC)
_PRICES = (SignalKind.PRICE, SignalKind.EXPORT_PRICE)


@dataclass(frozen=True, slots=True)
class KnownSite:
    """What a message of a site is checked against."""

    currency: str
    batteries: frozenset[str]


@dataclass(frozen=True, slots=True)
class Known:
    """What messages are checked against: the fleet, now, and how long readings are kept."""

    sites: Mapping[str, KnownSite]
    now: datetime
    history: timedelta


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that can be stored; ``index`` is its place in the batch."""

    index: int
    digest: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class Reading(Accepted):
    """A reading."""

    message: TelemetryMessage


@dataclass(frozen=True, slots=True)
class Update(Accepted):
    """A value of a signal, as it will be stored."""

    message: SignalMessage
    point: SignalPoint


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that can never be stored, and why."""

    index: int
    digest: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A batch, sorted: readings and updates by what they are of and their own time."""

    readings: tuple[Reading, ...]
    updates: tuple[Update, ...]
    refused: tuple[Refused, ...]

    @property
    def digests(self) -> list[bytes]:
        """By which each is known again; one that is there twice counts once."""
        every: tuple[Accepted | Refused, ...] = (*self.readings, *self.updates, *self.refused)
        return sorted({one.digest for one in every})


def known_sites(fleet: FleetSpec) -> dict[str, KnownSite]:
    """Return what messages are checked against of a fleet."""
    return {
        site.name: KnownSite(site.currency, frozenset(unit.name for unit in site.batteries))
        for site in fleet.sites
    }


def decide(messages: Sequence[StreamMessage], known: Known) -> Decided:
    """Decide on each message by itself: a bad one stands in the way of no other."""
    readings: list[Reading] = []
    updates: list[Update] = []
    refused: list[Refused] = []
    for index, raw in enumerate(messages):
        found = _decide_one(index, raw, known)
        if isinstance(found, Reading):
            readings.append(found)
        elif isinstance(found, Update):
            updates.append(found)
        else:
            refused.append(found)
    return Decided(
        tuple(sorted(readings, key=_reading_order)),
        tuple(sorted(updates, key=_update_order)),
        tuple(refused),
    )


def refuse_all(messages: Sequence[StreamMessage], _known: Known, *, reason: str) -> Decided:
    """Refuse every message of a batch for one reason."""
    refused = [_refuse(index, raw, reason) for index, raw in enumerate(messages)]
    return Decided((), (), tuple(refused))


def once_each(batch: Decided, unseen: Collection[bytes]) -> Decided:
    """Leave those that were not seen before, and the first of those that came twice at once."""
    left = set(unseen)

    def is_first(digest: bytes) -> bool:
        is_left = digest in left
        left.discard(digest)
        return is_left

    return Decided(
        tuple(one for one in batch.readings if is_first(one.digest)),
        tuple(one for one in batch.updates if is_first(one.digest)),
        tuple(one for one in batch.refused if is_first(one.digest)),
    )


def _decide_one(index: int, raw: StreamMessage, known: Known) -> Reading | Update | Refused:
    if len(raw.body) > MOST_BYTES:
        reason = f"the message has {len(raw.body)} bytes, must be at most {MOST_BYTES}"
        return _refuse(index, raw, reason)
    try:
        message = MESSAGE.validate_json(raw.body)
    except ValidationError as error:
        return _refuse(index, raw, _sentence(error))
    wrong = _why_not(message, raw, known)
    if wrong is not None:
        return _refuse(index, raw, wrong)
    if isinstance(message, TelemetryMessage):
        return Reading(index, _digest(message, _content_of_reading(message)), message)
    point = _point(message, known.now)
    impossible = next(iter(impossible_values([point], [*known.sites])), None)
    if impossible is not None:
        return _refuse(index, raw, str(impossible))
    return Update(index, _digest(message, _content_of_update(message)), message, point)


def _refuse(index: int, raw: StreamMessage, reason: str) -> Refused:
    """Refuse a message; it is known again by its body, so that one put right is another."""
    digest = blake2b(b"refused\0" + raw.body, digest_size=_DIGEST_BYTES).digest()
    return Refused(index, digest, reason[:_LONGEST_REASON])


def _sentence(error: ValidationError) -> str:
    """Say what is wrong; the first place of each fault is the form the message was read as."""
    found = error.errors(include_url=False, include_context=False)
    return "; ".join(_fault(".".join(map(str, one["loc"][1:])), one) for one in found)


def _fault(field: str, one: ErrorDetails) -> str:
    if one["type"] == "missing":
        return f"message: {field} is missing"
    if not field:
        return f"message: {one['msg']}"
    return str(Refusal("message", field, one["input"], must_be(one["msg"])))


def _why_not(message: Message, raw: StreamMessage, known: Known) -> str | None:
    owner = f"message of {message.source}"
    if message.site not in known.sites:
        return str(Refusal(owner, "site", message.site, f"one of {', '.join(known.sites)}"))
    if raw.sites is not None and message.site not in raw.sites:
        allowed = ", ".join(sorted(raw.sites)) or "no site"
        limit = f"of {allowed}, which {raw.subject} is for"
        return str(Refusal(owner, "site", message.site, limit))
    if isinstance(message, SignalMessage):
        refusal = _wrong_in_update(owner, message, known)
    else:
        refusal = _wrong_in_reading(owner, message, known)
    return None if refusal is None else str(refusal)


def _wrong_in_update(owner: str, message: SignalMessage, known: Known) -> Refusal | None:
    units = [message.kind.unit]
    if message.kind in _PRICES:
        units = [f"{known.sites[message.site].currency}/MWh"]
    if message.unit not in units:
        return Refusal(owner, "unit", message.unit, f"{units[0]} for {message.kind.value}")
    latest = known.now + CLOCKS_APART
    if message.known_at is not None and message.known_at > latest:
        limit = f"no later than now, {known.now.isoformat()}"
        return Refusal(owner, "known_at", message.known_at.isoformat(), limit)
    return None


def _wrong_in_reading(owner: str, message: TelemetryMessage, known: Known) -> Refusal | None:
    series = message.series
    if message.unit != series.unit:
        return Refusal(owner, "unit", message.unit, f"{series.unit} for {series.value}")
    if not series.least <= message.value <= series.most:
        limit = f"within [{series.least:g}, {series.most:g}] {series.unit}"
        return Refusal(owner, "value", message.value, limit)
    earliest, latest = known.now - known.history, known.now + CLOCKS_APART
    if not earliest <= message.at <= latest:
        limit = f"within [{earliest.isoformat()}, {latest.isoformat()}]"
        return Refusal(owner, "at", message.at.isoformat(), limit)
    return _wrong_device(owner, message, known.sites[message.site].batteries)


def _wrong_device(
    owner: str, message: TelemetryMessage, batteries: frozenset[str]
) -> Refusal | None:
    if message.series in _OF_BATTERIES and message.device not in batteries:
        names = ", ".join(sorted(batteries)) or "none: the site has no battery"
        return Refusal(owner, "device", message.device, f"one of {names}")
    if message.series.is_of_a_device != bool(message.device):
        limit = "named" if message.series.is_of_a_device else "empty"
        return Refusal(owner, "device", message.device, f"{limit} for {message.series.value}")
    return None


def _point(message: SignalMessage, now: datetime) -> SignalPoint:
    return SignalPoint(
        site=message.site,
        kind=message.kind,
        start_at=message.start_at,
        minutes=message.minutes,
        value=message.value,
        known_at=now if message.known_at is None else min(message.known_at, now),
    )


def _digest(message: Message, content: str) -> bytes:
    """Tell it from every other: who sent it, under which id, and what it says.

    Not by the id alone: a sender that counts from one again after a restart says something new.
    """
    text = "\0".join((message.source, message.id or "", message.site, content))
    return blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


def _content_of_reading(message: TelemetryMessage) -> str:
    return f"{message.series.value}\0{message.device}\0{message.at.timestamp()}\0{message.value}"


def _content_of_update(message: SignalMessage) -> str:
    known = "" if message.known_at is None else message.known_at.timestamp()
    start = message.start_at.timestamp()
    return f"{message.kind.value}\0{start}\0{message.minutes}\0{known}\0{message.value}"


def _reading_order(one: Reading) -> tuple[str, str, str, datetime]:
    message = one.message
    return message.site, message.series.value, message.device, message.at


def _update_order(one: Update) -> tuple[str, str, datetime, datetime]:
    point = one.point
    return point.site, point.kind.value, point.start_at, point.known_at
