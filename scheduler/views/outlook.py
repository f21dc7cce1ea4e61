"""What a plan comes to if forecasts turn out otherwise, and who does not wait for them."""

from __future__ import annotations

from optimizer import KeptEarly, Outlook
from scheduler.services.plan_document import PlanDocument
from scheduler.views.wording import number, plural, when

MOST_NAMED = 10
"""Jobs that are named one by one."""


def outlook_notices(doc: PlanDocument) -> tuple[str, ...]:
    """Say what to expect of the plan, in sentences; nothing for one made for one future alone."""
    outlook = doc.plan.outlook
    expected = () if outlook is None else (*_expected(doc, outlook),)
    return (*expected, *_early(doc))


def _expected(doc: PlanDocument, outlook: Outlook) -> tuple[str, ...]:
    shared = when(doc.window.instant(outlook.first_slots), "UTC")
    gap = "nothing is proven about how much less it could be"
    if outlook.gap is not None:
        gap = f"that is at most {100 * outlook.gap:.1f} % above the least possible"
    if outlook.cvar_weight > 0.0:
        gap += f", the dearest futures counting {100 * outlook.cvar_weight:.0f} %"
    share = 100 * (1.0 - outlook.cvar_alpha)
    return (
        f"Over {plural(len(outlook.scenario_eur), 'future')} the objective is expected to be"
        f" {number(outlook.expected_eur, 2)} EUR, give or take {number(outlook.spread_eur, 2)} EUR"
        f" (standard deviation), and {number(outlook.cvar_eur, 2)} EUR in the dearest"
        f" {share:.0f} % of them; {gap}.",
        f"Jobs that begin before {shared.utc} have the same placement in all of them.",
    )


def _early(doc: PlanDocument) -> tuple[str, ...]:
    kept = [one for one in doc.plan.kept_early if one.error_eur > 0.0]
    if not kept:
        return ()
    gain = sum(one.gain_eur for one in kept)
    texts = [
        f"{plural(len(kept), 'job')} {'does' if len(kept) == 1 else 'do'} not wait, because what"
        f" waiting gains ({number(gain, 2)} EUR in all) is within its error."
    ]
    texts += [_kept(doc, one) for one in kept[:MOST_NAMED]]
    if len(kept) > MOST_NAMED:
        texts.append(f"And {plural(len(kept) - MOST_NAMED, 'more job')}.")
    return tuple(texts)


def _kept(doc: PlanDocument, kept: KeptEarly) -> str:
    zone = next((site.time_zone for site in doc.fleet.sites if site.name == kept.later_site), "UTC")
    later = when(doc.window.instant(kept.later_slot), zone)
    return (
        f"{kept.job} could wait until {later.local} ({later.utc}) at {kept.later_site}:"
        f" {number(kept.gain_eur, 2)} EUR, give or take {number(kept.error_eur, 2)} EUR."
    )
