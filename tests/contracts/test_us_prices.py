"""Prices of the United States pass the contract, by a real gridstatus that feels online."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.errors import Rejected, Unavailable
from connectors.protocols import SignalSource
from connectors.signals.us.prices import UsPrices
from connectors.types import SignalKind, Window
from tests.contracts.signal_source import SignalSourceContract, SourceCase
from tests.peers import gridstatus
from tests.peers.tls_proxy import tls_proxy
from tests.peers.us_operators import HOSTS, PJM_KEY, Operators, price_at

pytestmark = pytest.mark.peer

DAY = Window(datetime(2026, 6, 7, 7, tzinfo=UTC), datetime(2026, 6, 8, 3, tzinfo=UTC))
ZONES = ("CAISO:TH_NP15_GEN-APND", "NYISO:N.Y.C.", "ERCOT:HB_NORTH", "PJM:WESTERN HUB")
HOUR = timedelta(hours=1)


@pytest.fixture
def operators() -> Operators:
    """All four."""
    return Operators()


@pytest.fixture
def source(
    tmp_path: Path, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SignalSource]:
    """The source, whose child is led to us by its environment."""
    python = gridstatus.python()
    if python is None:
        pytest.skip(gridstatus.HOW_TO_GET_IT)
    with tls_proxy(tmp_path, HOSTS, operators) as proxy:
        for name, value in proxy.environment().items():
            monkeypatch.setenv(name, value)
        yield UsPrices(python, PJM_KEY, caiso_pause_s=0.0)


class TestUsPrices(SignalSourceContract):
    """A day of New York's market."""

    @pytest.fixture
    def case(self) -> SourceCase:
        """A zone of it."""
        return SourceCase("NYISO:N.Y.C.", (SignalKind.PRICE,), 60, SignalKind.WIND, DAY)


async def prices(source: SignalSource, zone: str, window: Window) -> dict[datetime, float]:
    """Ask, and look at unit and length."""
    frame = await source.fetch(zone, SignalKind.PRICE, window)
    assert set(frame["unit"]) <= {"USD/MWh"}
    assert set(frame["minutes"]) <= {60}
    assert frame["known_at"].isna().all()
    return dict(zip(frame["start_at"].dt.to_pydatetime(), frame["value"], strict=True))


@pytest.mark.parametrize("zone", [*ZONES, "PJM:AECO", "PJM:51288"])
async def test_every_operator_is_understood(source: SignalSource, zone: str) -> None:
    """A hub, a zone, a node; -500 is a price."""
    window = Window(DAY.start + 8 * HOUR, DAY.start + 15 * HOUR)
    found = await prices(source, zone, window)
    assert found == {
        start: price_at(start) for start in (window.start + n * HOUR for n in range(7))
    }
    assert min(found.values()) == -500.0


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 8, 23), (11, 1, 25)])
@pytest.mark.parametrize("zone", ZONES)
async def test_days_of_23_and_25_hours_are_whole(
    source: SignalSource, zone: str, month: int, day: int, hours: int
) -> None:
    """By the clock of the operator; no hour is lost, doubled or of another day."""
    midnight = source.time_zone(zone)
    start = _local(2026, month, day, midnight)
    end = _local(2026, month, day + 1, midnight)
    found = await prices(source, zone, Window(start, end))
    starts = [start.astimezone(UTC) + n * HOUR for n in range(hours)]
    assert found == {at: price_at(at) for at in starts}


@pytest.mark.parametrize("zone", ZONES)
async def test_what_is_not_published_yet_is_no_error(
    source: SignalSource, operators: Operators, zone: str
) -> None:
    """Before the market was cleared there is nothing of tomorrow."""
    operators.is_published = False
    assert await prices(source, zone, DAY) == {}


@pytest.mark.parametrize("zone", ["NYISO:nowhere", "ERCOT:nowhere", "PJM:nowhere"])
async def test_a_location_the_operator_does_not_have_is_refused(
    source: SignalSource, zone: str
) -> None:
    """With those it has."""
    with pytest.raises(Rejected, match=r"'nowhere', must be one of (AECO|CAPITL|HB_NORTH)"):
        await prices(source, zone, DAY)


@pytest.mark.parametrize("zone", ZONES[:3])
async def test_an_operator_in_trouble_is_unavailable(
    source: SignalSource, operators: Operators, zone: str
) -> None:
    """It may pass; of CAISO the library tells it as a day without prices."""
    operators.status = 503
    with pytest.raises(Unavailable, match="503"):
        await prices(source, zone, DAY)


async def test_a_wrong_key_is_refused_and_not_shown(source: SignalSource) -> None:
    """The library writes its requests down, with the key."""
    python = gridstatus.python()
    with pytest.raises(Rejected) as refused:
        await prices(UsPrices(python, "another-key-of-pjm"), "PJM:WESTERN HUB", DAY)
    assert "another-key-of-pjm" not in str(refused.value)


def _local(year: int, month: int, day: int, zone: str) -> datetime:
    return datetime(year, month, day, tzinfo=ZoneInfo(zone))
