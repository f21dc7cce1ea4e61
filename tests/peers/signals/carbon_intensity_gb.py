"""What api.carbonintensity.org.uk answers, by its published definitions, version 2."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.types import SignalKind, Window
from tests.peers.signals.published import Published
from tests.peers.signals.server import Answer, Request

_NATION = re.compile(r"/intensity/(?P<start>[^/]+)/(?P<end>[^/]+)")
_REGION = re.compile(
    r"/regional/intensity/(?P<start>[^/]+)/(?P<end>[^/]+)/regionid/(?P<region>\d+)"
)
_LONGEST = timedelta(days=14)
_HALF_HOUR = timedelta(minutes=30)


@dataclass
class CarbonIntensityGbDocuments:
    """Implements ``Documents``; what was is known until ``now``, and ``off`` is how wrong it is."""

    now: datetime = datetime(2100, 1, 1, tzinfo=UTC)
    off: float = 9.0

    def answer(self, request: Request, published: Published) -> Answer:
        """Answer for the nation or a region."""
        region = _REGION.fullmatch(request.path)
        found = region or _NATION.fullmatch(request.path)
        assert found is not None
        start, end = (datetime.fromisoformat(found[name]) for name in ("start", "end"))
        if end - start > _LONGEST:
            error = {"code": "400 Bad Request", "message": "Please enter 14 days at most"}
            return Answer(json.dumps({"error": error}).encode(), status=400)
        rows = [
            self._row(at, value, of_region=region is not None)
            for at, value in published.rows(
                SignalKind.CARBON_INTENSITY, Window(start - _HALF_HOUR, end)
            )
        ]
        if region is None:
            return Answer(json.dumps({"data": rows}).encode())
        inner = {"regionid": int(region["region"]), "shortname": "London", "data": rows}
        return Answer(json.dumps({"data": inner}).encode())

    def _row(self, at: datetime, value: float, *, of_region: bool) -> dict[str, object]:
        is_known = at < self.now
        intensity: dict[str, object] = {"forecast": value, "index": "moderate"}
        if not of_region:
            intensity["forecast"] = value + (self.off if is_known else 0)
            intensity["actual"] = value if is_known else None
        return {
            "from": f"{at:%Y-%m-%dT%H:%MZ}",
            "to": f"{at + _HALF_HOUR:%Y-%m-%dT%H:%MZ}",
            "intensity": intensity,
        }
