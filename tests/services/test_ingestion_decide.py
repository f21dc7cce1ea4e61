"""What is decided on each message of a batch, from what is known alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from scheduler.services.ingestion_decide import MOST_BYTES, decide, once_each
from tests.services.messages import KNOWN, MESSAGES, NOW, raw, reading, update


def why_not(document: Any, sites: frozenset[str] | None = None) -> str:
    """The reason a message is refused for; empty where it is not."""
    found = decide(raw(document, sites=sites), KNOWN)
    return "; ".join(one.reason for one in found.refused)


REFUSED = {
    "no JSON": (b"{", "Invalid JSON"),
    "no object": (b"[1]", "object"),
    "too long": (b" " * MOST_BYTES + b"{}", f"must be at most {MOST_BYTES}"),
    "a field too many": (reading(colour="red"), "colour = 'red'"),
    "a field missing": (
        {key: v for key, v in reading().items() if key != "unit"},
        "unit is missing",
    ),
    "neither form": ({"source": "x", "site": "DE", "value": 1, "unit": "kW"}, "series is missing"),
    "both forms": (reading(kind="price", start_at=NOW.isoformat()), "series"),
    "no number": (reading(value="NaN"), "value"),
    "a naive instant": (reading(at="2021-07-05T00:00:00"), "at = '2021-07-05T00:00:00'"),
    "an unknown site": (reading(site="XX"), "site = 'XX', must be one of DE, US"),
    "a wrong unit": (reading(unit="W"), "unit = 'W', must be kW for site_power"),
    "a value out of range": (reading(series="pv_power", value=-1), "value = -1.0"),
    "a share above one": (
        reading(series="job_progress", device="train", value=50, unit="1"),
        "must be within [0, 1] 1",
    ),
    "a future reading": (reading(at=(NOW + timedelta(hours=1)).isoformat()), "must be within"),
    "too old": (reading(at=(NOW - timedelta(days=40)).isoformat()), "must be within"),
    "an unnamed GPU": (reading(series="gpu_power", unit="W"), "device = '', must be named"),
    "a site's device": (reading(device="x"), "device = 'x', must be empty"),
    "a battery nobody has": (
        reading(series="battery_soc", device="b", unit="kWh"),
        "must be one of pack",
    ),
    "a price in another currency": (update(unit="USD/MWh"), "must be EUR/MWh"),
    "a price without a currency": (update(unit="currency/MWh"), "must be EUR/MWh"),
    "an odd interval": (update(minutes=7), "multiple of 5"),
    "a negative intensity": (
        update(kind="carbon_intensity", unit="g/kWh", value=-1),
        "must be within [0,",
    ),
    "known tomorrow": (update(known_at=(NOW + timedelta(days=1)).isoformat()), "no later than now"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_by_name(case: str) -> None:
    """Object, value and limit."""
    document, expected = REFUSED[case]
    assert expected in why_not(document)


def test_who_is_kept_to_some_sites_speaks_for_no_other() -> None:
    """The topic, or the key, says for which."""
    assert why_not(reading(), frozenset({"DE"})) == ""
    assert "must be of US, which topic is for" in why_not(reading(), frozenset({"US"}))
    assert "no site" in why_not(reading(), frozenset())


def test_a_clock_that_is_a_little_ahead_changes_nothing_of_the_past() -> None:
    """What is known in a moment is known now: a value is never known before it came."""
    ahead = (NOW + timedelta(minutes=1)).isoformat()
    (one,) = decide(raw(update(known_at=ahead)), KNOWN).updates
    assert one.point.known_at == NOW


@given(MESSAGES)
@settings(max_examples=60, deadline=None)
def test_every_message_of_a_batch_is_decided_on_once(documents: list[Any]) -> None:
    """In one place each, sorted; of those that say the same one is left."""
    batch = decide(raw(*documents), KNOWN)
    every = (*batch.readings, *batch.updates, *batch.refused)
    assert sorted(one.index for one in every) == list(range(len(documents)))
    left = once_each(batch, batch.digests)
    digests = [one.digest for one in (*left.readings, *left.updates, *left.refused)]
    assert sorted(digests) == batch.digests
    keys = [(one.message.device, one.message.at) for one in batch.readings]
    assert keys == sorted(keys)
