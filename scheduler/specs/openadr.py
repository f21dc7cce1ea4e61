"""A virtual power plant that speaks OpenADR 3, as a file describes the connection to it."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from scheduler.specs.base import Minutes, Name, NonNegative, Spec, require_unique

_HERE = ("127.0.0.1", "localhost", "::1")


def _safe_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
        raise ValueError(f"{url[:200]!r} must begin with https:// (http:// to this machine only)")
    return url


Url = Annotated[str, Field(max_length=2000), AfterValidator(_safe_url)]
Word = Annotated[str, Field(min_length=1, max_length=128)]
Share = Annotated[float, Field(ge=0, le=1)]


class OpenAdrSiteSpec(Spec):
    """One of our sites: its resource there, and what its contract lets it draw and give [kW].

    Attributes
    ----------
    rebound_kw, rebound_minutes, rebound_eur_per_kwh
        What it may import for so long after a call, and the price of more; no ``rebound_kw``: no
        such limit.
    """

    site: Name
    resource: Word
    contract_kw: NonNegative
    export_kw: NonNegative = 0.0
    targets: Annotated[tuple[Word, ...], Field(max_length=100)] = ()  # by which events name it
    rebound_kw: NonNegative | None = None
    rebound_minutes: Minutes = 0.0
    rebound_eur_per_kwh: NonNegative = 0.0

    @model_validator(mode="after")
    def _limits_a_rebound_or_none(self) -> Self:
        for name in ("rebound_minutes", "rebound_eur_per_kwh"):
            value = getattr(self, name)
            if (value > 0) != (self.rebound_kw is not None):
                raise ValueError(
                    f"openadr site {self.site}: {name} = {value:g}, must be > 0 where rebound_kw"
                    " is set, and only there"
                )
        return self


class OpenAdrSpec(Spec):
    """The other side's address, who we are there, and what was agreed; the secret is a setting."""

    url: Url
    version: Literal["3.1.0", "3.0.1"] = "3.1.0"
    client_id: Annotated[str, Field(min_length=1, max_length=4096)]
    ven_name: Word
    token_url: Url | None = None  # None: as the other side says
    scopes: Annotated[tuple[Word, ...], Field(max_length=20)] | None = None  # None: by version
    programs: Annotated[tuple[Word, ...], Field(max_length=1000)] = ()  # none: all we are shown
    webhook_url: Url | None = None  # of our API, as the other side reaches it
    mqtt: bool = False  # listen at its broker
    simple_shares: tuple[Share, Share, Share] = (0.75, 0.5, 0.0)
    breach_eur_per_kwh: NonNegative
    payment_eur_per_kwh: NonNegative = 0.0
    ramp_minutes: Minutes = 0.0
    sites: Annotated[tuple[OpenAdrSiteSpec, ...], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        require_unique("openadr", "site", (site.site for site in self.sites))
        require_unique("openadr", "resource", (site.resource for site in self.sites))
        return self

    @model_validator(mode="after")
    def _as_the_version_has_it(self) -> Self:
        if self.version == "3.0.1" and self.mqtt:
            raise ValueError("openadr: mqtt = true, must be false: 3.0.1 has none")
        if self.version == "3.0.1" and self.webhook_url is not None and not self.programs:
            raise ValueError("openadr: programs must be named: 3.0.1 tells of one program each")
        return self
