"""Messages as senders write them, and what they are checked against."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from connectors.types import StreamMessage
from scheduler.services.ingestion_decide import Known, KnownSite
from scheduler.services.ingestion_store import Taken
from tests.services.builders import START, fleet_spec, site_spec

NOW = START
BATTERY = {"name": "pack", "power_kw": 10, "capacity_kwh": 20}
FLEET = fleet_spec(site_spec("DE", batteries=[BATTERY]), site_spec("FR"))
KNOWN = Known(
    {"DE": KnownSite("EUR", frozenset({"pack"})), "US": KnownSite("USD", frozenset())},
    NOW,
    timedelta(days=31),
)


def reading(**changes: Any) -> dict[str, Any]:
    """The meter of a site, a minute ago."""
    return {
        "source": "gateway",
        "id": "1",
        "site": "DE",
        "series": "site_power",
        "at": (NOW - timedelta(minutes=1)).isoformat(),
        "value": 41.5,
        "unit": "kW",
    } | changes


def update(**changes: Any) -> dict[str, Any]:
    """The price of the hour that begins now."""
    return {
        "source": "feed",
        "site": "DE",
        "kind": "price",
        "start_at": NOW.isoformat(),
        "minutes": 60,
        "value": 50.0,
        "unit": "EUR/MWh",
    } | changes


def raw(*documents: Any, sites: frozenset[str] | None = None) -> list[StreamMessage]:
    """Messages as they come."""
    return [
        StreamMessage(
            "topic", one if isinstance(one, bytes) else json.dumps(one).encode(), (), sites
        )
        for one in documents
    ]


def counts(taken: Taken) -> tuple[int, int, int, int]:
    """Stored, unchanged, duplicates, dead."""
    return taken.stored, taken.unchanged, taken.duplicates, len(taken.dead_letters)


IDS = st.one_of(st.none(), st.sampled_from("ab"))
MESSAGES = st.lists(
    st.one_of(
        st.builds(
            lambda id_, minute, value: reading(
                id=id_, at=(NOW - timedelta(minutes=minute)).isoformat(), value=value
            ),
            IDS,
            st.integers(0, 3),
            st.integers(0, 2),
        ),
        st.builds(
            lambda id_, hour, value, known: update(
                id=id_,
                start_at=(NOW + timedelta(hours=hour)).isoformat(),
                value=value,
                known_at=(NOW - timedelta(minutes=known)).isoformat(),
            ),
            IDS,
            st.integers(0, 2),
            st.integers(0, 2),
            st.integers(0, 3),
        ),
        st.sampled_from([b"{", b"null", reading(site="XX")]),
    ),
    max_size=30,
)
