"""What every ``Battery`` must do.

``battery`` holds ``CAPACITY_KWH``, takes and gives at most ``RATING_KW``, and starts half full.
``wait(hours)`` lets time pass for it. What it tells may be rounded to ``NEAR_KWH``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connectors.errors import Rejected
from connectors.protocols import Battery

CAPACITY_KWH = 100.0
RATING_KW = 50.0
NEAR_KWH = 0.011  # a hundredth of a percent
Wait = Callable[[float], None]


class BatteryContract:
    """The contract."""

    async def test_it_rests_until_told(self, battery: Battery, wait: Wait) -> None:
        """Without a setpoint nothing flows and nothing changes."""
        before = await battery.telemetry()
        wait(1.0)
        after = await battery.telemetry()
        assert (after.power_kw, after.soc_kwh) == (0.0, before.soc_kwh)
        assert after.at > before.at
        assert after.at.utcoffset() is not None

    async def test_charging_is_positive_and_fills(self, battery: Battery, wait: Wait) -> None:
        """It stores no more than it is given."""
        before = await battery.telemetry()
        await battery.set_power(20.0)
        wait(1.0)
        after = await battery.telemetry()
        assert after.power_kw == pytest.approx(20.0)
        assert before.soc_kwh < after.soc_kwh <= before.soc_kwh + 20.0 + NEAR_KWH

    async def test_discharging_is_negative_and_empties(self, battery: Battery, wait: Wait) -> None:
        """It loses at least what it gives."""
        before = await battery.telemetry()
        await battery.set_power(-20.0)
        wait(1.0)
        after = await battery.telemetry()
        assert after.power_kw == pytest.approx(-20.0)
        assert after.soc_kwh <= before.soc_kwh - 20.0 + NEAR_KWH

    @pytest.mark.parametrize("power_kw", [RATING_KW + 0.1, -RATING_KW - 0.1, float("nan")])
    async def test_more_than_its_rating_is_refused(self, battery: Battery, power_kw: float) -> None:
        """The refusal names battery, value and limit; what it was doing goes on."""
        await battery.set_power(10.0)
        with pytest.raises(Rejected, match=rf"{battery.name}.*{power_kw:g}.*50"):
            await battery.set_power(power_kw)
        assert (await battery.telemetry()).power_kw == pytest.approx(10.0)

    @pytest.mark.parametrize("power_kw", [RATING_KW, -RATING_KW])
    async def test_it_stops_at_its_ends(
        self, battery: Battery, wait: Wait, power_kw: float
    ) -> None:
        """Full or empty, nothing flows although it is told to."""
        await battery.set_power(power_kw)
        wait(10.0)
        after = await battery.telemetry()
        assert after.power_kw == 0.0
        assert 0.0 <= after.soc_kwh <= CAPACITY_KWH

    async def test_the_last_word_counts(self, battery: Battery, wait: Wait) -> None:
        """The same setpoint twice is one; another replaces it."""
        await battery.set_power(20.0)
        await battery.set_power(20.0)
        await battery.set_power(0.0)
        before = await battery.telemetry()
        wait(1.0)
        assert (await battery.telemetry()).soc_kwh == before.soc_kwh

    async def test_it_says_what_it_was_told(self, battery: Battery) -> None:
        """The setpoint is read back from it, not remembered by us."""
        await battery.set_power(-12.5)
        assert (await battery.telemetry()).setpoint_kw == pytest.approx(-12.5)

    @pytest.mark.parametrize("power_kw", [20.0, -20.0])
    async def test_it_rests_once_its_time_is_over(
        self, battery: Battery, wait: Wait, power_kw: float
    ) -> None:
        """Whoever told it may be gone: it holds a setpoint as long as it was told to."""
        await battery.set_power(power_kw, hold_s=1800.0)
        wait(0.25)
        assert (await battery.telemetry()).power_kw == pytest.approx(power_kw)
        wait(0.5)
        after = await battery.telemetry()
        assert after.power_kw == 0.0
        wait(1.0)
        assert (await battery.telemetry()).soc_kwh == after.soc_kwh

    async def test_told_again_it_holds_on(self, battery: Battery, wait: Wait) -> None:
        """The time begins anew with each word; without one the last stands for good."""
        await battery.set_power(20.0, hold_s=1800.0)
        wait(0.4)
        await battery.set_power(20.0, hold_s=1800.0)
        wait(0.4)
        assert (await battery.telemetry()).power_kw == pytest.approx(20.0)
        await battery.set_power(10.0)
        wait(1.0)
        assert (await battery.telemetry()).power_kw == pytest.approx(10.0)
