"""What every source that is asked over a network must do, against a server that is awkward.

A new source brings a ``case``, its ``documents`` (``tests.peers.signals``), and how it is
connected; ``secret`` is what it is connected with, where it needs one.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from connectors.errors import ConnectorError, ContractBroken, CredentialsRefused, Unavailable
from connectors.http import HttpPolicy, HttpSource
from connectors.protocols import SignalSource
from connectors.types import SignalKind, Window
from tests.contracts.signal_source import START, SignalSourceContract, SourceCase
from tests.peers.signals.published import Published
from tests.peers.signals.server import Awkward, Documents, Peer, served, status

SPRING = date(2026, 3, 29)  # in Europe; in the US it is three weeks earlier
AUTUMN = date(2026, 10, 25)
QUICK = HttpPolicy(answer_s=0.4, most_bytes=1024 * 1024, requests_per_minute=60_000, burst=1000)


class Naps:
    """Notes how long it would have slept [s], and does not."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Sleep so long, they think."""
        self.seconds.append(seconds)


def local_day(day: date, zone: str) -> Window:
    """Return the day from one midnight of a zone to the next."""
    start, end = (
        datetime(one.year, one.month, one.day, tzinfo=ZoneInfo(zone))
        for one in (day, day + timedelta(days=1))
    )
    return Window(start, end)


class LiveSourceContract(SignalSourceContract, ABC):
    """The contract of a source that is asked over HTTP.

    The fixtures ``case``, what it is asked, and ``documents``, the format it speaks, are its own.
    """

    secret = ""
    clock_changes = (SPRING, AUTUMN)

    @abstractmethod
    def connect(self, http: HttpSource) -> SignalSource:
        """Return the source at the address of ``http``."""

    @pytest.fixture
    def peer(self, case: SourceCase, documents: Documents) -> Iterator[Peer]:
        """The server."""
        with served(documents, Published(case.minutes)) as peer:
            yield peer

    @pytest.fixture
    def naps(self) -> Naps:
        """What it would have slept."""
        return Naps()

    @pytest.fixture
    def source(self, peer: Peer, naps: Naps) -> SignalSource:
        """The source, which thinks that it sleeps."""
        return self.connect(HttpSource("tested", peer.url, QUICK, sleep=naps))

    async def test_values_are_those_that_were_published(
        self, source: SignalSource, case: SourceCase, peer: Peer
    ) -> None:
        """Of every kind, each value at its instant."""
        for kind in case.kinds:
            assert await self._rows(source, case, kind, case.window) == pytest.approx(
                dict(peer.published.rows(kind, case.window)), rel=1e-6
            )

    async def test_days_of_23_and_25_hours_are_whole(
        self, source: SignalSource, case: SourceCase, peer: Peer
    ) -> None:
        """No hour is lost or doubled when clocks change."""
        zone = source.time_zone(case.zone)
        hours = []
        for day in self.clock_changes:
            window = local_day(day, zone)
            rows = await self._rows(source, case, case.kind, window)
            assert rows == pytest.approx(dict(peer.published.rows(case.kind, window)), rel=1e-6)
            hours.append(len(rows) * case.minutes / 60)
        assert hours == ([24, 24] if zone == "UTC" else [23, 25])

    async def test_gaps_stay_gaps(self, source: SignalSource, case: SourceCase, peer: Peer) -> None:
        """What is missing is absent; its neighbours keep their length."""
        at = START + timedelta(hours=5)
        for kind in case.kinds:
            for n in range(4 * 60 // case.minutes):
                peer.published.changed[kind, at + n * timedelta(minutes=case.minutes)] = None
            frame = await source.fetch(case.zone, kind, case.window)
            starts = [start for start, _ in peer.published.rows(kind, case.window)]
            assert frame["start_at"].to_list() == starts
            assert (frame["minutes"] == case.minutes).all()

    async def test_what_is_not_published_yet_is_no_error(
        self, source: SignalSource, case: SourceCase, peer: Peer
    ) -> None:
        """There is nothing of tomorrow before noon; half a window may be there."""
        peer.published.until = START
        for kind in case.kinds:
            assert (await source.fetch(case.zone, kind, case.window)).empty
        peer.published.until = START + timedelta(hours=6)
        frame = await source.fetch(case.zone, case.kind, case.window)
        assert len(frame) == 6 * 60 / case.minutes

    async def test_a_revision_is_seen(
        self, source: SignalSource, case: SourceCase, peer: Peer
    ) -> None:
        """What was kept of an answer is not given for a newer one."""
        before = await self._rows(source, case, case.kind, case.window)
        at = START + timedelta(hours=7)
        peer.published.changed[case.kind, at] = before[at] + 1
        after = await self._rows(source, case, case.kind, case.window)
        assert after == pytest.approx(before | {at: before[at] + 1}, rel=1e-6)

    async def test_what_has_not_changed_is_not_sent_again(
        self, source: SignalSource, case: SourceCase, peer: Peer
    ) -> None:
        """The second question is on condition, and has the same answer."""
        first = await source.fetch(case.zone, case.kind, case.window)
        asked = len(peer.requests)
        second = await source.fetch(case.zone, case.kind, case.window)
        pd.testing.assert_frame_equal(first, second)
        assert 0 < peer.unchanged <= len(peer.requests) - asked

    async def test_a_value_that_cannot_be_is_refused(
        self, source: SignalSource, case: SourceCase, peer: Peer
    ) -> None:
        """With source, zone, kind, instant, value and limit; nothing of the answer is used."""
        at = START + timedelta(hours=3)
        peer.published.changed[case.kind, at] = 7e9
        with pytest.raises(ContractBroken, match=f"{case.kind}.*{case.zone}.*7.*e?.*must be"):
            await source.fetch(case.zone, case.kind, case.window)

    @pytest.mark.parametrize("retry_after", ["7", "a date"])
    async def test_who_asks_to_wait_is_waited_for(
        self, source: SignalSource, case: SourceCase, peer: Peer, naps: Naps, retry_after: str
    ) -> None:
        """429 with ``Retry-After`` in seconds, or as a date by the clock of the other side."""
        if retry_after == "a date":
            peer.clock_ahead_s = 3600.0
            retry_after = format_datetime(datetime.now(UTC) + timedelta(seconds=3607), usegmt=True)
        peer.will(status(429, Retry_After=retry_after))
        assert len(await source.fetch(case.zone, case.kind, case.window))
        assert naps.seconds == [pytest.approx(7, abs=2)]

    async def test_who_asks_to_wait_for_long_is_left_to_the_caller(
        self, source: SignalSource, case: SourceCase, peer: Peer, naps: Naps
    ) -> None:
        """The error says how long."""
        peer.will(status(429, Retry_After="3600"))
        with pytest.raises(Unavailable, match="429") as caught:
            await source.fetch(case.zone, case.kind, case.window)
        assert caught.value.retry_after_s == 3600
        assert not naps.seconds

    @pytest.mark.parametrize(
        "trouble",
        [
            status(500),
            status(503),
            status(408),
            Awkward.TRUNCATED,
            Awkward.TRUNCATED_PACKED,
            Awkward.SLOW,
        ],
        ids=str,
    )
    async def test_what_may_pass_is_asked_again(
        self, source: SignalSource, case: SourceCase, peer: Peer, naps: Naps, trouble: Awkward
    ) -> None:
        """Twice in trouble, then good: the values are the right ones. For ever: unavailable."""
        peer.will(trouble, trouble)
        rows = await self._rows(source, case, case.kind, case.window)
        assert rows == pytest.approx(dict(peer.published.rows(case.kind, case.window)), rel=1e-6)
        assert len(naps.seconds) == 2
        asked = len(peer.requests)
        peer.always(trouble)
        with pytest.raises(Unavailable):
            await source.fetch(case.zone, case.kind, case.window)
        assert len(peer.requests) - asked == QUICK.attempts

    @pytest.mark.parametrize(
        "trouble",
        [
            Awkward.CUT,
            Awkward.WRONG_TYPE,
            Awkward.EMPTY,
            Awkward.HUGE,
            Awkward.BOMB,
            Awkward.BROKEN_PACKING,
        ],
    )
    async def test_what_is_not_as_agreed_is_not_used(
        self, source: SignalSource, case: SourceCase, peer: Peer, naps: Naps, trouble: Awkward
    ) -> None:
        """It is refused at once: asking again brings the same."""
        peer.will(trouble)
        with pytest.raises(ContractBroken):
            await source.fetch(case.zone, case.kind, case.window)
        assert not naps.seconds

    async def test_who_is_not_there_is_unavailable(self, case: SourceCase, naps: Naps) -> None:
        """The error says who, and where."""
        source = self.connect(HttpSource("tested", "http://127.0.0.1:9", QUICK, sleep=naps))
        with pytest.raises(Unavailable, match=r"tested: http://127\.0\.0\.1:9"):
            await source.fetch(case.zone, case.kind, case.window)
        assert len(naps.seconds) == QUICK.attempts - 1

    async def test_secrets_are_in_no_error_and_no_log(
        self,
        source: SignalSource,
        case: SourceCase,
        peer: Peer,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Not even where the other side repeats them, and every logger says all it can."""
        caplog.set_level(logging.DEBUG)
        await source.fetch(case.zone, case.kind, case.window)
        echo = f"you sent {self.secret or 'nothing'}"
        for code in (401, 400, 500):
            peer.always(status(code, echo))
            with pytest.raises(ConnectorError) as caught:
                await source.fetch(case.zone, case.kind, case.window)
            peer.next_answers.clear()
            assert "you sent" in str(caught.value)
            if self.secret:
                assert self.secret not in str(caught.value)
                assert self.secret not in repr(caught.value.__cause__)
        assert caplog.records
        if self.secret:
            assert any(self.secret in f"{it.target} {it.headers}" for it in peer.requests)
            assert self.secret not in caplog.text

    async def test_credentials_that_are_refused_are_a_matter_of_their_own(
        self, source: SignalSource, case: SourceCase, peer: Peer, naps: Naps
    ) -> None:
        """Nobody asks again with the same ones for as long as it takes."""
        peer.always(status(401))
        with pytest.raises(CredentialsRefused):
            await source.fetch(case.zone, case.kind, case.window)
        assert not naps.seconds

    @staticmethod
    async def _rows(
        source: SignalSource, case: SourceCase, kind: SignalKind, window: Window
    ) -> dict[datetime, float]:
        frame = await source.fetch(case.zone, kind, window)
        return dict(zip(frame["start_at"].dt.to_pydatetime(), frame["value"], strict=True))


class NegativePrices:
    """For sources of prices."""

    async def test_a_price_of_minus_500_is_a_price(
        self, source: SignalSource, case: SourceCase, peer: Peer
    ) -> None:
        """The lowest that European bids may be, and the highest."""
        for n, price in enumerate((-500.0, 4000.0)):
            at = START + n * timedelta(minutes=case.minutes)
            peer.published.changed[SignalKind.PRICE, at] = price
        frame = await source.fetch(case.zone, SignalKind.PRICE, case.window)
        assert frame["value"].to_list()[:2] == [-500.0, 4000.0]
        assert (frame["unit"] == "EUR/MWh").all()


class StatedUnits:
    """For sources whose documents state the unit."""

    async def test_another_unit_than_agreed_is_refused(
        self, source: SignalSource, case: SourceCase, peer: Peer
    ) -> None:
        """It is never taken for the one that was agreed."""
        peer.published.wrong_unit = "EUR/kWh"
        with pytest.raises(ContractBroken, match=r"unit = 'EUR/kWh', must be"):
            await source.fetch(case.zone, case.kind, case.window)


class Secretive(LiveSourceContract):
    """For sources that need a secret, which is what they are connected with."""

    async def test_a_secret_goes_nowhere_else(
        self, source: SignalSource, case: SourceCase, peer: Peer, documents: Documents
    ) -> None:
        """A redirect to another address is not followed, whoever asks for it."""
        with served(documents, peer.published) as other:
            peer.always(status(302, Location=f"{other.url}/elsewhere"))
            with pytest.raises(ConnectorError, match="not followed with a secret"):
                await source.fetch(case.zone, case.kind, case.window)
            assert not other.requests
