"""What was delivered, as a report of the types that an event asks for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from connectors.types import DeliveryReport
from connectors.vpp.openadr3.instants import written_duration
from connectors.vpp.openadr3.wire import WireEvent

_HOUR = timedelta(hours=1)
_TOLERANCE_KW = 0.01


def report_name(report: DeliveryReport) -> str:
    """Return what a report is known by: the same interval is the same report."""
    return f"{report.site} {report.window.start.isoformat()}"


def report_body(
    event: WireEvent,
    report: DeliveryReport,
    interval: int,
    *,
    client: str,
    resource: str,
    with_program: bool,
) -> dict[str, Any] | None:
    """Return a report, ``None`` where the event asks for nothing that is known of it.

    Parameters
    ----------
    interval
        The event's own number of the interval, which is echoed.
    """
    start, values = report.window.start, _values(report)
    asked = [each.payload_type for each in event.reports if each.payload_type in values]
    if not asked:
        return None
    payloads = [{"type": name, "values": [values[name][0]]} for name in dict.fromkeys(asked)]
    quality = "OK" if report.is_measured else "ESTIMATED"
    payloads.append({"type": "DATA_QUALITY", "values": [quality]})
    return {
        **({"programID": event.program} if with_program else {}),
        "eventID": event.id,
        "clientName": client,
        "reportName": report_name(report),
        "payloadDescriptors": [_descriptor(name, values[name][1]) for name in dict.fromkeys(asked)],
        "resources": [
            {
                "resourceName": resource,
                "intervalPeriod": {
                    "start": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "duration": written_duration(report.window.end - start),
                },
                "intervals": [{"id": interval, "payloads": payloads}],
            }
        ],
    }


def _values(report: DeliveryReport) -> dict[str, tuple[float | str, str | None]]:
    """Return what can be told of an interval, each in its unit; what has none has no unit."""
    hours = (report.window.end - report.window.start) / _HOUR
    values: dict[str, tuple[float | str, str | None]] = {
        "USAGE": (report.mean_import_kw * hours, "KWH"),
        "DEMAND": (report.mean_import_kw, "KW"),
    }
    if report.limit_kw is not None:
        values["OPERATING_STATE"] = (_state(report.mean_import_kw, report.limit_kw), None)
    if report.stored_kwh is not None and report.storage_kwh:
        values["STORAGE_CHARGE_LEVEL"] = (100 * report.stored_kwh / report.storage_kwh, "PERCENT")
        values["STORAGE_USABLE_CAPACITY"] = (report.storage_kwh, "KWH")
    return values


def _state(import_kw: float, limit_kw: float) -> str:
    if import_kw > limit_kw + _TOLERANCE_KW:
        return "RUNNING_OPTED_OUT"
    return "RUNNING_CURTAILED" if import_kw > _TOLERANCE_KW else "IDLE_CURTAILED"


def _descriptor(name: str, unit: str | None) -> dict[str, str]:
    return {
        "objectType": "REPORT_PAYLOAD_DESCRIPTOR",
        "payloadType": name,
        "readingType": "MEAN" if name == "DEMAND" else "DIRECT_READ",
        **({} if unit is None else {"units": unit}),
    }
