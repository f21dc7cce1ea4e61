"""What every ``EnergyAccounts`` must do.

``accounts`` knows the job ``known``, one start of which used 2 kWh and is over, and the job
``shared``, the one start of which is over and has no energy of its own. ``running`` goes on.
"""

from __future__ import annotations

import math

import pytest

from connectors.errors import Unavailable
from connectors.protocols import EnergyAccounts


class EnergyAccountsContract:
    """Give it fixtures ``accounts``, and ``away``: the same, not reachable."""

    async def test_what_was_measured_is_told_with_who_measured_it(
        self, accounts: EnergyAccounts
    ) -> None:
        """Of a start by its number, with both its ends."""
        (found,) = await accounts.energy(["known"])
        assert (found.key, found.start) == ("known", 1)
        assert found.kwh is not None
        assert math.isclose(found.kwh, 2.0)
        assert found.ended_at is not None
        assert found.started_at.utcoffset() is not None
        assert found.started_at < found.ended_at
        assert (bool(found.source), found.reason) == (True, "")

    async def test_what_cannot_be_known_has_a_reason(self, accounts: EnergyAccounts) -> None:
        """And no figure."""
        (found,) = await accounts.energy(["shared"])
        assert found.kwh is None
        assert found.reason

    async def test_what_is_not_settled_is_left_out(self, accounts: EnergyAccounts) -> None:
        """It goes on, or nobody knows it."""
        assert await accounts.energy(["running", "unknown"]) == ()
        assert await accounts.energy([]) == ()

    async def test_an_answer_stays_the_same(self, accounts: EnergyAccounts) -> None:
        """However often, and with whichever others, it is asked."""
        keys = ["known", "running", "shared", "unknown"]
        first = await accounts.energy(keys)
        assert sorted(one.key for one in first) == ["known", "shared"]
        assert await accounts.energy(keys) == first

    async def test_an_account_that_is_away_says_so(self, away: EnergyAccounts) -> None:
        """Nothing is not an answer."""
        with pytest.raises(Unavailable):
            await away.energy(["known"])
