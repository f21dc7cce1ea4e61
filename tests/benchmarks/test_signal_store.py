"""The year that is asked is as it would have come in."""

from __future__ import annotations

from datetime import timedelta

from benchmarks.signal_store.store import fleet_of_twenty
from benchmarks.signal_store.year import BEGIN, DAY, N_SITES, fill
from connectors.types import SignalKind, Window
from scheduler.db.models import SignalSeries, SignalValue
from scheduler.db.session import SessionFactory, transaction
from scheduler.services.signals import signals_frame


def test_a_day_is_filled_as_published_on_both_databases(sessions: SessionFactory) -> None:
    """Prices for tomorrow from a quarter to one; carbon intensity once more every hour."""
    with transaction(sessions) as session:
        fill(session.connection(), "signal_value", 1, with_text=False)
        session.add_all(
            SignalSeries(site=site.name, kind=kind)
            for site in fleet_of_twenty().sites
            for kind in SignalKind
        )
        session.flush()
        assert session.query(SignalValue).count() == N_SITES * (4 * 384 + 23 * 24 + 96)
        tomorrow = Window(BEGIN + DAY, BEGIN + 2 * DAY)
        noon = signals_frame(session, tomorrow, BEGIN + timedelta(hours=12))
        one = signals_frame(session, tomorrow, BEGIN + timedelta(hours=13))
        evening = Window(BEGIN + 0.75 * DAY, BEGIN + DAY)
        at_six = signals_frame(session, evening, BEGIN + 0.75 * DAY)
    assert set(noon["kind"]) == {
        SignalKind.BASE_LOAD,
        SignalKind.CARBON_INTENSITY,
        SignalKind.PV,
        SignalKind.WIND,
    }
    assert (one["kind"] == SignalKind.PRICE).sum() == N_SITES * 96
    carbon = at_six[at_six["kind"] == SignalKind.CARBON_INTENSITY]
    assert set(carbon["known_at"]) == {BEGIN + 0.75 * DAY}
