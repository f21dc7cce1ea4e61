"""Marginal carbon intensity as WattTime answers, version 3."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.types import SignalKind, Window
from tests.peers.signals.published import Published
from tests.peers.signals.server import Answer, Request

USER, PASSWORD = "somebody", "a-password-of-watttime"
PACKED = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
REGIONS = ("CAISO_NORTH", "DE")
G_PER_LB = 453.592_37
_KIND = SignalKind.MARGINAL_CARBON_INTENSITY
_LONGEST = timedelta(days=32)


@dataclass
class WattTimeDocuments:
    """The documents at an instant.

    A token is good for ``uses_of_a_token`` questions. What stands in ``meta`` takes the place of
    what the documents say of themselves.
    """

    now: datetime
    uses_of_a_token: int = 1000
    meta: dict[str, Any] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    uses_left: int = 0

    def answer(self, request: Request, published: Published) -> Answer:
        """Answer one request."""
        sent = request.headers.get("authorization", "")
        if request.path == "/login":
            return self._login(sent)
        if not self.tokens or sent != f"Bearer {self.tokens[-1]}" or self.uses_left < 1:
            return _error(401, "Invalid or expired token")
        self.uses_left -= 1
        return self._of_region(request, published, request.query["region"])

    def _of_region(self, request: Request, published: Published, region: str) -> Answer:
        if region not in REGIONS or request.query["signal_type"] != "co2_moer":
            return _error(403, f"You do not have access to {region}")
        if request.path == "/v3/historical":
            start, end = (datetime.fromisoformat(request.query[it]) for it in ("start", "end"))
            if end - start > _LONGEST:
                return _error(400, "the maximum duration is 32 days")
            return self._series(published, region, Window(start, end))
        hours = int(request.query["horizon_hours"])
        if not 1 <= hours <= 72:
            return _error(422, "horizon_hours must be at most 72")
        window = Window(self.now, self.now + timedelta(hours=hours))
        return self._series(published, region, window, generated_at=self.now)

    def _login(self, sent: str) -> Answer:
        if sent != f"Basic {PACKED}":
            return _error(401, "Incorrect username or password")
        self.tokens.append(f"token-{len(self.tokens) + 1}-of-watttime")
        self.uses_left = self.uses_of_a_token
        return _json({"token": self.tokens[-1]})

    def _series(
        self,
        published: Published,
        region: str,
        window: Window,
        generated_at: datetime | None = None,
    ) -> Answer:
        points = [
            {"point_time": start.astimezone(UTC).isoformat(), "value": _pounds(published, start)}
            for start in published.starts(window)
            if published.until is None or start < published.until
        ]
        meta = {
            "data_point_period_seconds": 60 * published.minutes,
            "region": region,
            "warnings": [],
            "signal_type": "co2_moer",
            "model": {"date": "2026-03-01"},
            "units": published.wrong_unit or "lbs_co2_per_mwh",
        }
        if generated_at is not None:
            meta |= {"generated_at": generated_at.isoformat(), "generated_at_period_seconds": 300}
        return _json({"data": points, "meta": meta | self.meta})


def _pounds(published: Published, start: datetime) -> float | None:
    """Return what is published [g/kWh] in pounds per MWh."""
    value = published.value(_KIND, start)
    return None if value is None else value * 1000 / G_PER_LB


def _json(document: object) -> Answer:
    return Answer(json.dumps(document).encode())


def _error(status: int, text: str) -> Answer:
    return Answer(json.dumps({"error": text}).encode(), "application/json", status)
