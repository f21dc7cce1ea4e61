"""What a source of signals says of itself, without being asked anything over a network."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.types import SignalKind


@dataclass(frozen=True, slots=True)
class SignalOffer:
    """One kind that a source has.

    Attributes
    ----------
    minutes
        Documented lengths of its intervals, the present one first.
    zones
        Where it has it; none listed: in every zone that ``SourceInfo.zones_are`` describes.
    """

    kind: SignalKind
    minutes: tuple[int, ...]
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source, as it is listed and chosen.

    Attributes
    ----------
    name
        What a fleet and the command line call it.
    document
        Where the format it speaks is published.
    licence
        Under which its data may be used, in its own words.
    needs
        Settings without which it answers nothing, such as a key; none: it is free to ask.
    zones_are
        What its zones are called, in words.
    """

    name: str
    title: str
    document: str
    licence: str
    offers: tuple[SignalOffer, ...]
    needs: tuple[str, ...] = ()
    zones_are: str = ""

    def kinds_in(self, zone: str) -> tuple[SignalKind, ...]:
        """Kinds it has in ``zone``, in the order in which it offers them."""
        return tuple(one.kind for one in self.offers if not one.zones or zone in one.zones)
