"""Feeds: what is due is fetched once, stored beside what was known, and never stops another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from connectors.errors import Rejected
from connectors.http import HttpSource
from connectors.protocols import SignalSource
from connectors.signals.carbon_intensity_gb import CarbonIntensityGb
from connectors.signals.energy_charts import EnergyCharts
from connectors.signals.frames import Question, signal_frame
from connectors.source_info import SignalOffer, SourceInfo
from connectors.types import SignalKind, Window
from scheduler.db.models import SignalValue
from scheduler.db.session import SessionFactory, transaction
from scheduler.main import connect
from scheduler.services import coverage, fleet
from scheduler.services.feed_states import Feed, FeedStanding, due_feeds, feeds_of
from scheduler.services.feeds import FeedWatch
from scheduler.services.signals import latest_values
from scheduler.settings import Settings
from scheduler.specs import FleetSpec
from tests.contracts.live_source import QUICK, Naps
from tests.peers.signals.carbon_intensity_gb import CarbonIntensityGbDocuments
from tests.peers.signals.energy_charts import EnergyChartsDocuments
from tests.peers.signals.published import Published
from tests.peers.signals.server import Peer, served, status
from tests.services.builders import fleet_spec, site_spec

NOW = datetime(2026, 6, 7, 11, 1, tzinfo=UTC)
PRICE, CARBON = SignalKind.PRICE, SignalKind.CARBON_INTENSITY
PRICES = {"kind": "price", "source": "energy-charts", "zone": "DE-LU", "every_minutes": 60}
LONDON = {"kind": "carbon_intensity", "source": "carbon-intensity-gb", "zone": "GB-London"}


def highest(_low: float, high: float) -> float:
    """Draw the upper end."""
    return high


class Fed:
    """A fleet that is fed, by a clock that stands still until it is moved."""

    def __init__(self, sessions: SessionFactory, charts: Peer, carbon: Peer) -> None:
        self.sessions = sessions
        self.now = NOW
        self.charts, self.carbon = charts, carbon
        self.sources: dict[str, SignalSource] = {
            "energy-charts": EnergyCharts(
                HttpSource("energy-charts", charts.url, QUICK, sleep=Naps())
            ),
            "carbon-intensity-gb": CarbonIntensityGb(
                HttpSource("carbon-intensity-gb", carbon.url, QUICK, sleep=Naps())
            ),
        }
        self.watch = self.another_watch()

    def another_watch(self) -> FeedWatch:
        """Return what another clock has."""
        return FeedWatch(
            self.sessions,
            lambda _, name: self.sources[name],
            lambda: self.now,
            lambda _, high: high,
        )

    def put(self, *feeds: dict[str, Any], **site: Any) -> None:
        """Put a fleet of one site with these feeds in force."""
        spec = fleet_spec(site_spec("DE", feeds=list(feeds), **site))
        with transaction(self.sessions) as session:
            fleet.replace_fleet(session, spec, "test", self.now)

    def look(self, after: timedelta = timedelta(0)) -> None:
        """Look a while later, and wait for what that begins."""
        self.now += after
        self.watch.look()
        assert self.watch.finish(20)

    def rows(self, kind: SignalKind = PRICE) -> list[SignalValue]:
        """Return all values of a kind, in order of interval and knowledge."""
        order = (SignalValue.start_at, SignalValue.known_at)
        with self.sessions() as session:
            wanted = select(SignalValue).where(SignalValue.kind == kind).order_by(*order)
            return list(session.scalars(wanted))

    def standing(self, kind: SignalKind = PRICE) -> FeedStanding:
        """Return how the feed of a kind fares."""
        with transaction(self.sessions) as session:
            found = {one.kind: one.feed for one in coverage.coverage(session, self.now)}
        feed = found[kind]
        assert feed is not None
        return feed


@pytest.fixture
def fed(sessions: SessionFactory) -> Iterator[Fed]:
    """Two sources of today, on each kind of database."""
    published = Published(15, until=NOW + timedelta(hours=11))
    with (
        served(EnergyChartsDocuments(), published) as charts,
        served(CarbonIntensityGbDocuments(), Published(30)) as carbon,
    ):
        yield Fed(sessions, charts, carbon)


def test_what_is_due_is_stored_as_known_since_it_came(fed: Fed) -> None:
    """Whole days back and as far ahead as there is; where it comes from stands with it."""
    fed.put(PRICES)
    fed.look()
    rows = fed.rows()
    window = Window(datetime(2026, 6, 6, tzinfo=UTC), datetime(2026, 6, 11, tzinfo=UTC))
    published = dict(fed.charts.published.rows(PRICE, window))
    assert {row.start_at: row.value for row in rows} == published
    assert {(row.known_at, row.source, row.minutes) for row in rows} == {(NOW, "energy-charts", 15)}


def test_values_land_once_and_a_revision_stands_beside_the_first(fed: Fed) -> None:
    """What was known before the revision can still be told."""
    fed.put(PRICES)
    fed.look()
    first = len(fed.rows())
    fed.look(timedelta(hours=2))
    assert len(fed.rows()) == first
    assert fed.charts.unchanged == 1
    at = NOW + timedelta(minutes=59)
    fed.charts.published.changed[PRICE, at] = -500.0
    fed.look(timedelta(hours=2))
    values = [(row.known_at, row.value) for row in fed.rows() if row.start_at == at]
    assert len(fed.rows()) == first + 1
    assert values[1] == (fed.now, -500.0)
    then = Window(at, at + timedelta(minutes=15))
    with fed.sessions() as session:
        before = latest_values(session, "DE", PRICE, then, NOW + timedelta(hours=3))
        after = latest_values(session, "DE", PRICE, then, fed.now)
    assert before[0].value == values[0][1] != -500.0 == after[0].value


def test_nothing_is_fetched_before_its_time(fed: Fed) -> None:
    """An hour and the share drawn later, and not by two clocks at once."""
    fed.put(PRICES)
    fed.look()
    assert fed.standing().due_at == NOW + timedelta(minutes=66)
    asked = len(fed.charts.requests)
    fed.look(timedelta(minutes=65))
    assert len(fed.charts.requests) == asked
    fed.now += timedelta(minutes=1)
    others = [fed.watch, *(fed.another_watch() for _ in range(3))]
    for watch in others:
        watch.look()
    assert all(watch.finish(20) for watch in others)
    assert len(fed.charts.requests) == asked + 1


def test_of_two_who_see_a_feed_due_at_once_one_takes_it(fed: Fed) -> None:
    """Though the other looked before the first was done."""
    fed.put(PRICES)
    with transaction(fed.sessions) as session:
        feeds = feeds_of(fleet.required_spec(session))
        due_feeds(session, feeds, fed.now - timedelta(hours=1), ())
    fed.now += timedelta(hours=1)
    taken: list[Feed] = []

    def take() -> None:
        with transaction(fed.sessions) as session, session.begin_nested():
            taken.extend(due_feeds(session, feeds, fed.now, ()))

    other = threading.Thread(target=take)
    with transaction(fed.sessions) as session, session.begin_nested():
        first = due_feeds(session, feeds, fed.now, ())
        other.start()
        time.sleep(0.3)  # in which the other has looked, or waits to
    other.join(20)
    assert (len(first), taken) == (1, [])


def test_sites_that_are_fed_alike_are_fed_from_one_answer(fed: Fed) -> None:
    """Again and again: they stay due together. What one of them refuses the other has."""
    sites = [
        site_spec("DE", feeds=[PRICES]),
        site_spec("CH", feeds=[PRICES], currency="CHF"),
        site_spec("FR", feeds=[PRICES]),
    ]
    spec = fleet_spec(*sites, eur_per_unit={"CHF": 1.05})
    with transaction(fed.sessions) as session:
        fleet.replace_fleet(session, spec, "test", fed.now)
    fed.look()
    fed.charts.published.changed[PRICE, NOW.replace(minute=0)] = 1.5
    fed.look(timedelta(minutes=66))
    assert len(fed.charts.requests) == 2
    stored = [(row.site, row.value) for row in fed.rows() if row.known_at > NOW]
    assert sorted(stored) == [("DE", 1.5), ("FR", 1.5)]
    with transaction(fed.sessions) as session:
        found = {one.site: one.feed for one in coverage.coverage(session, fed.now) if one.feed}
    assert {site: bool(feed.error) for site, feed in found.items() if feed} == {
        "DE": False,
        "CH": True,
        "FR": False,
    }


def test_a_source_that_is_away_is_retried_and_stops_no_other(fed: Fed) -> None:
    """Its last error and its age are seen until it answers again."""
    fed.put(PRICES, LONDON)
    fed.charts.always(status(503, "maintenance"))
    fed.look()
    assert len(fed.rows(CARBON)) > 0
    assert not fed.standing(CARBON).error
    failed = fed.standing()
    assert "maintenance" in failed.error
    assert (failed.failures, failed.succeeded_at, failed.age_hours) == (1, None, None)
    assert failed.due_at == NOW + timedelta(minutes=1)
    fed.look(timedelta(minutes=1))
    assert fed.standing().due_at == fed.now + timedelta(minutes=2)
    fed.charts.next_answers.clear()
    fed.look(timedelta(minutes=2))
    assert (fed.standing().error, fed.standing().failures) == ("", 0)
    fed.charts.always(status(503))
    fed.look(timedelta(minutes=66))
    assert fed.standing().age_hours == pytest.approx(1.1)
    assert fed.standing().failures == 1


def test_what_failed_is_tried_at_the_next_start(fed: Fed) -> None:
    """Whoever starts a clock anew has mended something, such as a secret."""
    fed.put(PRICES)
    fed.charts.will(status(401))
    fed.look()
    assert fed.standing().due_at == NOW + timedelta(minutes=66)
    fed.watch = fed.another_watch()
    fed.look(timedelta(minutes=1))
    assert not fed.standing().error
    asked = len(fed.charts.requests)
    fed.watch = fed.another_watch()
    fed.look(timedelta(minutes=1))
    assert len(fed.charts.requests) == asked


def test_who_asks_for_an_hour_is_left_alone_for_it(fed: Fed) -> None:
    """``Retry-After`` beyond what one answer waits for."""
    fed.put(PRICES | {"every_minutes": 5})
    fed.charts.will(status(429, Retry_After="3600"))
    fed.look()
    assert fed.standing().due_at == NOW + timedelta(minutes=66)


def test_a_price_of_another_currency_is_refused(fed: Fed) -> None:
    """It is not taken for one of the site's."""
    fed.put(PRICES, currency="EUR")
    fed.charts.published.wrong_unit = "CHF / MWh"
    fed.look()
    assert "unit = CHF/MWh, must be EUR/MWh" in fed.standing().error
    assert not fed.rows()
    assert fed.standing().due_at == NOW + timedelta(minutes=66)


def test_a_feed_from_elsewhere_is_due_at_once(fed: Fed) -> None:
    """And one that is taken out is forgotten."""
    fed.put(PRICES)
    fed.look()
    fed.put(PRICES | {"zone": "FR"})
    assert fed.standing().due_at is None
    fed.look(timedelta(minutes=1))
    assert fed.charts.requests[-1].query["bzn"] == "FR"
    fed.put(LONDON)
    fed.look()
    fed.put(PRICES | {"zone": "FR"}, LONDON)
    assert fed.standing().due_at is None


class Clocked:
    """A source that says when it published, by a clock that may be ahead."""

    info = SourceInfo("energy-charts", "x", "", "x", (SignalOffer(PRICE, (60,)),))

    def __init__(self) -> None:
        self.published_at = NOW - timedelta(hours=1)
        self.price = 10.0

    def time_zone(self, _zone: str) -> str:
        """UTC."""
        return "UTC"

    async def fetch(self, zone: str, kind: SignalKind, window: Window) -> Any:
        """One price."""
        asked = Question("clocked", zone, kind, window)
        start = NOW.replace(minute=0)
        values = [self.price]
        return signal_frame(asked, [start], 60, values, "EUR/MWh", self.published_at)


def test_what_a_source_says_of_its_publication_counts(fed: Fed) -> None:
    """Unless it lies ahead; and what it changes without saying so is known since it came."""
    source = fed.sources["energy-charts"] = Clocked()
    fed.put(PRICES)
    fed.look()
    assert [row.known_at for row in fed.rows()] == [NOW - timedelta(hours=1)]
    source.price = 11.0
    fed.look(timedelta(hours=2))
    assert [(row.known_at, row.value) for row in fed.rows()][1:] == [(fed.now, 11.0)]
    source.price, source.published_at = 12.0, NOW + timedelta(days=1)
    fed.look(timedelta(hours=2))
    assert [(row.known_at, row.value) for row in fed.rows()][2:] == [(fed.now, 12.0)]


def test_a_source_that_breaks_is_told_of(fed: Fed, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it was, the feed goes on at its time."""

    def broken(_fleet: FleetSpec, _name: str) -> SignalSource:
        raise Rejected("its library is not installed")

    fed.put(PRICES)
    fed.watch = FeedWatch(fed.sessions, broken, lambda: fed.now, highest)
    fed.look()
    assert fed.standing().error == "its library is not installed"
    assert "feed of price of site DE from energy-charts: its library" in caplog.text


def test_what_nobody_reckoned_with_stops_nothing(
    fed: Fed, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told with its trace, seen at the feed, and the other feeds go on."""

    class Odd(Clocked):
        """A source with a defect."""

        async def fetch(self, _zone: str, _kind: SignalKind, _window: Window) -> Any:
            """Divide by nothing."""
            return 1 / 0

    fed.sources["energy-charts"] = Odd()
    fed.put(PRICES, LONDON)
    fed.look()
    assert fed.standing().error == "division by zero"
    assert "ZeroDivisionError" in caplog.text
    assert fed.rows(CARBON)


@pytest.mark.parametrize(
    ("feed", "fault"),
    [
        ({"source": "energy-chart"}, "source = 'energy-chart', must be one of energy-charts, "),
        ({"zone": "Atlantis"}, "zone = 'Atlantis', must be a zone of energy-charts"),
        ({"kind": "pv"}, "kind = 'pv', must be of energy-charts there: price, carbon_intensity"),
    ],
)
def test_a_feed_of_what_there_is_not_keeps_a_fleet_out_of_force(
    feed: dict[str, str], fault: str, tmp_path: Any
) -> None:
    """It is refused where the fleet comes in."""
    spec = fleet_spec(site_spec("DE", feeds=[PRICES | feed]))
    outside = connect(Settings(state_dir=tmp_path), spec, lambda: NOW)
    assert [str(one) for one in outside.refusals if fault in str(one)]


def test_two_feeds_of_one_signal_are_refused() -> None:
    """They would take turns in saying what it is."""
    with pytest.raises(ValueError, match="feed of 'price' occurs twice"):
        fleet_spec(site_spec("DE", feeds=[PRICES, PRICES | {"zone": "FR"}]))
