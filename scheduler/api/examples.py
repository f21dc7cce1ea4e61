"""One worked example for every request body: sent in this order to an empty database, all work.

Instants are set from the present, so that what the docs show can be sent as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Example:
    """A request that works once those before it were sent.

    ``path`` is the route's; its parameters are filled from ``names`` or, by the reader, with an id.
    """

    method: str
    path: str
    summary: str
    body: Any
    media_type: str = "application/json"


def worked_examples(now: datetime) -> tuple[Example, ...]:
    """Return every example, as of the day of ``now``, in the order to send them."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (
        Example("put", "/v1/fleet", "One site with 16 GPUs, solar and a battery", _FLEET),
        Example("put", "/v1/sites/{name}", "The same site with a larger connection", _SITE),
        Example("post", "/v1/signals", "Prices of tomorrow, by the hour", _signals(midnight)),
        Example(
            "post",
            "/v1/signals/csv",
            "Carbon intensity and solar of that day",
            _csv(midnight),
            "text/csv",
        ),
        Example("post", "/v1/messages", "What the meter reads, and a price", _messages(now)),
        Example("post", "/v1/jobs", "Six hours on 8 GPUs, some time that day", _job(midnight)),
        Example(
            "post",
            "/v1/job-arrays",
            "Half an hour on one GPU with each of three seeds",
            _array(midnight),
        ),
        Example("post", "/v1/grid-events", "Two hours at no more than 20 kW", _event(midnight)),
        Example(
            "put",
            "/v1/grid-events/{external_id}",
            "The same hours at no more than 25 kW",
            _event(midnight) | {"limit_kw": 25},
        ),
        Example("post", "/v1/planning-runs", "Plan that day", _run(midnight)),
        Example("post", "/v1/keys", "A key for somebody who submits jobs", _KEY),
        Example("post", "/v1/plans/{plan_id}/approve", "With a word of why", _APPROVAL),
        Example("post", "/v1/plans/{plan_id}/reject", "With a word of why", _REJECTION),
        *(
            Example("post", f"/v1/signals/quality/{{flag_id}}/{verb}", "With a word of why", note)
            for verb, note in (("confirm", _CONFIRMATION), ("reject", _REFUSAL_OF_VALUES))
        ),
        Example("post", "/v1/vpp/bids/evaluate", "5 kW less for two hours", _bid(midnight)),
        Example("post", "/v1/quotes", "The same job, by noon or by the evening", _quote(midnight)),
    )


_SITE: dict[str, Any] = {
    "name": "DE",
    "time_zone": "Europe/Berlin",
    "pue": 1.2,
    "base_load_kw": 5,
    "has_pv": True,
    "grid": {"import_limit_kw": 100, "export_limit_kw": 50, "network_fee_per_mwh": 20},
    "pools": [{"name": "a100", "gpus": 16, "idle_kw_per_gpu": 0.08}],
    "batteries": [
        {"power_kw": 25, "capacity_kwh": 50, "soc_initial_kwh": 25, "terminal_value_per_kwh": 0.05}
    ],
}
_FLEET: dict[str, Any] = {
    "name": "example",
    "planning": {"slot_minutes": 60, "horizon_hours": 24, "time_limit_s": 30},
    "sites": [_SITE | {"grid": {"import_limit_kw": 60}}],
}
# A plausible day: cheap, clean and sunny at noon, dear and dirty in the evening.
# fmt: off
_PRICES = (
    62, 58, 55, 54, 56, 64, 78, 88, 80, 60, 42, 30,
    22, 20, 26, 44, 70, 96, 118, 124, 108, 92, 80, 70,
)
_GRAMS = (
    420, 411, 402, 400, 405, 415, 400, 370, 330, 290, 250, 220,
    205, 200, 210, 240, 300, 370, 430, 460, 450, 440, 430, 425,
)
# fmt: on
_PV_KW = (0, 0, 0, 0, 0, 2, 6, 12, 18, 24, 28, 30, 30, 29, 26, 21, 15, 9, 4, 1, 0, 0, 0, 0)
_KEY = {"name": "alice", "role": "submitter"}
_APPROVAL = {"note": "cheaper than the plan in force, nothing violated"}
_REJECTION = {"note": "the price signal was stale"}
_CONFIRMATION = {"note": "the auction did clear at -500"}
_REFUSAL_OF_VALUES = {"note": "per kWh instead of per MWh"}


def _signals(midnight: datetime) -> dict[str, Any]:
    values = [
        {
            "site": "DE",
            "kind": "price",
            "start_at": _text(midnight + timedelta(hours=hour)),
            "minutes": 60,
            "value": price,
        }
        for hour, price in enumerate(_PRICES)
    ]
    return {"source": "day-ahead auction", "values": values}


def _messages(now: datetime) -> list[dict[str, Any]]:
    hour = now.replace(minute=0, second=0, microsecond=0)
    sent = {"source": "gateway", "site": "DE", "sent_at": _text(now)}
    meter = {"series": "site_power", "at": _text(now), "value": 41.5, "unit": "kW"}
    price = {
        "kind": "price",
        "start_at": _text(hour),
        "minutes": 60,
        "value": 72,
        "unit": "EUR/MWh",
    }
    return [sent | {"id": "1"} | meter, sent | {"id": "2"} | price]


def _csv(midnight: datetime) -> str:
    rows = [
        f"DE,{kind},{_text(midnight + timedelta(hours=hour))},60,{value}"
        for kind, values in (("carbon_intensity", _GRAMS), ("pv", _PV_KW))
        for hour, value in enumerate(values)
    ]
    return "\n".join(("site,kind,start_at,minutes,value", *rows, ""))


def _array(midnight: datetime) -> dict[str, Any]:
    points = [{"pool": "a100", "gpus": 1, "kw": 0.4}]
    small = {"work_hours": 0.5, "operating_points": points, "pausing": None}
    return _job(midnight) | small | {"name": "seeds", "array": "0-2"}


def _job(midnight: datetime) -> dict[str, Any]:
    return {
        "name": f"finetune-{midnight:%m%d}",
        "tenant": "research",
        "work_hours": 6,
        "operating_points": [
            {"pool": "a100", "gpus": 8, "kw": 3.2},
            {"pool": "a100", "gpus": 8, "kw": 2.4, "speed": 0.85, "power_cap_w": 300},
        ],
        "release_at": _text(midnight),
        "deadline_at": _text(midnight + timedelta(hours=24)),
        "pausing": {"min_run_minutes": 60, "restart_minutes": 10, "restart_kwh": 1},
        "command": ["python", "train.py", "--resume"],
        "environment": {"SEED": "7"},
    }


def _quote(midnight: datetime) -> dict[str, Any]:
    deadlines = [_text(midnight + timedelta(hours=hours)) for hours in (12, 20)]
    return {"job": _job(midnight) | {"name": "what-if"}, "deadlines": deadlines}


def _run(midnight: datetime) -> dict[str, Any]:
    return {"window_start": _text(midnight), "hours": 24, "time_limit_s": 30}


def _event(midnight: datetime) -> dict[str, Any]:
    return {
        "external_id": f"dr-{midnight:%Y%m%d}-1",
        "site": "DE",
        "start_at": _text(midnight + timedelta(hours=18)),
        "end_at": _text(midnight + timedelta(hours=20)),
        "limit_kw": 20,
        "breach_eur_per_kwh": 5,
    }


def _bid(midnight: datetime) -> dict[str, Any]:
    return {
        "site": "DE",
        "start_at": _text(midnight + timedelta(hours=17)),
        "end_at": _text(midnight + timedelta(hours=19)),
        "drop_kw": 5,
        "payment_eur_per_kwh": 0.5,
        "breach_eur_per_kwh": 2,
    }


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
