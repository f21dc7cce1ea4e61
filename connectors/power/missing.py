"""Power that was to be measured by what is not installed here."""

from __future__ import annotations

from connectors.errors import Rejected
from connectors.types import MeasuredPower, PowerScope


class MissingPower:
    """Implements ``PowerSource``: it says why nobody measures, and stops nothing else.

    Parameters
    ----------
    name
        Of who was to measure.
    reason
        Why nobody can be asked.
    """

    scope = PowerScope.GPUS

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    async def read(self) -> MeasuredPower:
        """Refuse, always.

        Raises
        ------
        Rejected
            With the reason.
        """
        raise Rejected(self._reason)
