"""A virtual power plant that speaks OpenADR 3, from what a file and the settings say of it."""

from __future__ import annotations

from connectors.vpp.openadr3.client import Credentials, Version, Vtn
from connectors.vpp.openadr3.ven import OpenAdrVen, SiteTerms, VenTerms
from scheduler.specs.openadr import OpenAdrSpec
from scheduler.timekeeping import Now

_SCOPES = {
    Version.V3_1_0: ("read_targets", "read_ven_objects", "write_reports", "write_vens"),
    Version.V3_0_1: ("read_all", "write_reports", "write_vens"),
}


def openadr_ven(spec: OpenAdrSpec, client_secret: str, now: Now) -> OpenAdrVen:
    """Make the connection; nothing is asked yet."""
    version = Version(spec.version)
    scopes = _SCOPES[version] if spec.scopes is None else spec.scopes
    credentials = Credentials(spec.client_id, client_secret, scopes, spec.token_url)
    sites = tuple(
        SiteTerms(site.site, site.resource, site.contract_kw, site.export_kw) for site in spec.sites
    )
    terms = VenTerms(
        spec.ven_name,
        sites,
        frozenset(spec.programs),
        spec.simple_shares,
        spec.breach_eur_per_kwh,
        spec.payment_eur_per_kwh,
        spec.ramp_minutes,
    )
    return OpenAdrVen(Vtn(spec.url, version, credentials), terms, now)
