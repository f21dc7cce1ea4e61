"""A virtual power plant that speaks OpenADR 3, from what a file and the settings say of it."""

from __future__ import annotations

from pydantic import SecretStr

from connectors.vpp.openadr3.client import Credentials, Version, Vtn
from connectors.vpp.openadr3.subscription import Webhook
from connectors.vpp.openadr3.ven import OpenAdrVen, SiteTerms, VenTerms
from scheduler.grid_side import Notifier
from scheduler.services.errors import Invalid, Refusal
from scheduler.specs.openadr import OpenAdrSpec
from scheduler.timekeeping import Now

_SCOPES = {
    Version.V3_1_0: ("read_targets", "read_ven_objects", "write_reports", "write_vens"),
    Version.V3_0_1: ("read_all", "write_reports", "write_vens"),
}


def openadr_ven(
    spec: OpenAdrSpec, client_secret: SecretStr, webhook_token: SecretStr | None, now: Now
) -> OpenAdrVen:
    """Make the connection; nothing is asked yet.

    Raises
    ------
    Invalid
        It is to be told by webhook, and there is no token to know the other side by.
    """
    webhook = None
    if spec.webhook_url is not None:
        if webhook_token is None:
            limit = "set where webhook_url is, and the same for the API"
            raise Invalid(Refusal("settings", "openadr_webhook_token", None, limit))
        webhook = Webhook(spec.webhook_url, webhook_token.get_secret_value())
    sites = tuple(
        SiteTerms(
            site.site,
            site.resource,
            site.contract_kw,
            site.export_kw,
            frozenset(site.targets),
            site.rebound_kw,
            site.rebound_minutes,
            site.rebound_eur_per_kwh,
        )
        for site in spec.sites
    )
    terms = VenTerms(
        spec.ven_name,
        sites,
        frozenset(spec.programs),
        spec.simple_shares,
        spec.breach_eur_per_kwh,
        spec.payment_eur_per_kwh,
        spec.ramp_minutes,
        webhook,
    )
    return OpenAdrVen(_vtn(spec, client_secret), terms, now)


def openadr_notifier(spec: OpenAdrSpec, client_secret: SecretStr) -> Notifier | None:
    """Return what listens for changes by MQTT, ``None`` where nothing is to."""
    if not spec.mqtt:
        return None
    try:  # its client is an extra
        from connectors.vpp.openadr3.notifier import MqttNotifier  # noqa: PLC0415
    except ModuleNotFoundError as error:
        limit = f"listened with what the extra gridtide[mqtt] installs ({error})"
        raise Invalid(Refusal("openadr", "mqtt", "true", limit)) from error
    return MqttNotifier(_vtn(spec, client_secret), spec.ven_name)


def _vtn(spec: OpenAdrSpec, client_secret: SecretStr) -> Vtn:
    version = Version(spec.version)
    scopes = spec.scopes
    if scopes is None:
        more = (("write_subscriptions", spec.webhook_url), ("read_all", spec.mqtt))
        wanted = (*_SCOPES[version], *(scope for scope, is_used in more if is_used))
        scopes = tuple(dict.fromkeys(wanted))
    secret = client_secret.get_secret_value()
    return Vtn(spec.url, version, Credentials(spec.client_id, secret, scopes, spec.token_url))
