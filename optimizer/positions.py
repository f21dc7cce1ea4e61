"""Energy that was bought or sold ahead, by slot, and what it costs to draw more or less."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.checks import Series, require_at_least, require_finite, require_unique
from optimizer.errors import InvalidProblem


@dataclass(frozen=True, slots=True)
class Position:
    """What sites are to draw in sum, imports less exports, and the price of deviating from it.

    The energy itself costs what the sites' prices say; deviation comes on top of these.

    Attributes
    ----------
    net_kw
        To be drawn, by slot; negative where they are to feed in. ``None``: nothing was agreed [kW].
    over_eur_per_kwh, under_eur_per_kwh
        What each kWh costs that is drawn more, or less.
    """

    name: str
    sites: tuple[str, ...]
    net_kw: tuple[float | None, ...]
    over_eur_per_kwh: Series
    under_eur_per_kwh: Series

    def __post_init__(self) -> None:
        owner = f"position {self.name}"
        if not self.sites:
            raise InvalidProblem(owner, "sites", (), "at least one site")
        require_unique(owner, "site", self.sites)
        for name in ("over_eur_per_kwh", "under_eur_per_kwh"):
            prices: Series = getattr(self, name)
            if len(prices) != len(self.net_kw):
                raise InvalidProblem(owner, f"len({name})", len(prices), f"{len(self.net_kw)}")
            for slot, price in enumerate(prices):
                require_at_least(owner, f"{name}[{slot}]", price, 0.0)
        for slot, value in enumerate(self.net_kw):
            if value is not None:
                require_finite(owner, f"net_kw[{slot}]", value)

    @property
    def agreed(self) -> dict[int, float]:
        """Return what is to be drawn in each slot for which something was agreed [kW]."""
        return {slot: kw for slot, kw in enumerate(self.net_kw) if kw is not None}
