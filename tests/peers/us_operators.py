"""The four operators whose day-ahead prices ``gridstatus`` asks for, as they answer.

Formats: CAISO OASIS ``PRC_LMP`` (a zip of CSV), NYISO ``damlbmp_zone`` (CSV), ERCOT's document list
and settlement point prices (JSON, zips of CSV), PJM Data Miner 2 ``da_hrl_lmps`` (JSON).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.peers.tls_proxy import Answer, Asked

HOSTS = (
    "oasis.caiso.com",
    "oasis-postings.prod.nysdi.com",
    "www.ercot.com",
    "api.pjm.com",
)
PJM_KEY = "data-miner-key"
PJM_HUB, PJM_ZONE = 51288, 51291
_CSV = "text/csv"
_ZIP = "application/zip"


def price_at(start: datetime) -> float:
    """Price of the hour that starts then, the same everywhere; below zero at noon."""
    hour = start.astimezone(UTC).hour
    return -500.0 if hour == 18 else 20.0 + hour


@dataclass(slots=True)
class Operators:
    """The four of them; ``is_published`` is whether the day was cleared yet."""

    is_published: bool = True
    status: int = 200

    def __call__(self, asked: Asked) -> Answer:
        """Answer one request."""
        if self.status != 200:
            return Answer(b"out of order", "text/plain", self.status)
        if asked.host == "oasis.caiso.com":
            return self._caiso(asked)
        if asked.host == "oasis-postings.prod.nysdi.com":
            return self._nyiso(asked)
        if asked.host == "www.ercot.com":
            return self._ercot(asked)
        return self._pjm(asked)

    def _caiso(self, asked: Asked) -> Answer:
        if not self.is_published:
            return Answer(_zip("error.xml", "<m:ERR_DESC>No data returned</m:ERR_DESC>"), _ZIP)
        start = datetime.strptime(asked.query["startdatetime"], "%Y%m%dT%H:%M%z")
        end = datetime.strptime(asked.query["enddatetime"], "%Y%m%dT%H:%M%z")
        lines = ["INTERVALSTARTTIME_GMT,INTERVALENDTIME_GMT,NODE,LMP_TYPE,MW"]
        for hour in hours(start, end):
            until = hour + timedelta(hours=1)
            for kind in ("LMP", "MCE", "MCC", "MCL", "MGHG"):
                price = price_at(hour) if kind == "LMP" else 0.0
                node = asked.query["node"]
                lines.append(f"{_gmt(hour)},{_gmt(until)},{node},{kind},{price}")
        disposition = {"Content-Disposition": "attachment; filename=PRC_LMP_DAM.csv.zip"}
        return Answer(_zip("PRC_LMP.csv", "\n".join(lines)), _ZIP, headers=disposition)

    def _nyiso(self, asked: Asked) -> Answer:
        if not self.is_published:
            return Answer(b"", "text/plain", 404)
        day = datetime.strptime(asked.path.rsplit("-", 1)[1], "%Y%m%d.csv").date()  # noqa: DTZ007
        heading = (
            '"Time Stamp","Name","PTID","LBMP ($/MWHr)","Marginal Cost Losses ($/MWHr)",'
            '"Marginal Cost Congestion ($/MWHr)"'
        )
        lines = [heading]
        for hour in hours_of(day, "America/New_York"):
            for number, name in enumerate(("CAPITL", "N.Y.C.")):
                local = f"{hour:%m/%d/%Y %H:%M}"
                lines.append(f'"{local}","{name}",{61757 + number},{price_at(hour)},0.5,-1.5')
        return Answer("\n".join(lines).encode(), _CSV)

    def _ercot(self, asked: Asked) -> Answer:
        if asked.path.endswith("IceDocListJsonWS"):
            return self._ercot_documents(asked.query["reportTypeId"])
        name = asked.query["doclookupId"]
        if name == "mapping":
            heading = "ELECTRICAL_BUS,NODE_NAME,RESOURCE_NODE,HUB"
            return Answer(
                _zip("Settlement_Points_1.csv", f"{heading}\nbus,node,NODE_RN,HUB\n"), _ZIP
            )
        day = date.fromisoformat(name)
        lines = ["DeliveryDate,HourEnding,SettlementPoint,SettlementPointPrice,DSTFlag"]
        seen = set()
        for hour in hours_of(day, "America/Chicago"):
            ending = f"{hour.hour + 1:02}:00"
            flag = "Y" if ending in seen else "N"
            seen.add(ending)
            lines += [
                f"{day:%m/%d/%Y},{ending},{point},{price_at(hour)},{flag}"
                for point in ("HB_NORTH", "LZ_HOUSTON")
            ]
        return Answer(_zip("dam.csv", "\n".join(lines)), _ZIP)

    def _ercot_documents(self, report: str) -> Answer:
        if report == "10008":
            documents = [_document("mapping", "Settlement_20260601_120000", "2026-06-01")]
        else:
            days = (date(2026, 3, 8), date(2026, 6, 7), date(2026, 11, 1))
            documents = [
                _document(str(day), f"DAMSPNP4190_{day:%Y%m%d}_1300_csv", str(day - _ONE_DAY))
                for day in days
                if self.is_published
            ]
        answer = {"ListDocsByRptTypeRes": {"DocumentList": documents}}
        return Answer(json.dumps(answer).encode())

    def _pjm(self, asked: Asked) -> Answer:
        if asked.headers.get("Ocp-Apim-Subscription-Key") != PJM_KEY:
            return Answer(b'{"statusCode": 401, "message": "Access denied"}', status=401)
        if asked.path.endswith("/pnode"):
            return _page([_pnode(PJM_HUB, "WESTERN HUB"), _pnode(PJM_ZONE, "AECO")])
        is_zone = "ZONE" in asked.query.get("type", "")
        number = PJM_ZONE if is_zone else PJM_HUB
        first, _, last = asked.query["datetime_beginning_ept"].partition("to")
        day = datetime.strptime(first, "%m/%d/%Y %H:%M").date()  # noqa: DTZ007
        assert datetime.strptime(last, "%m/%d/%Y %H:%M").date() == day  # noqa: DTZ007
        rows = [
            {
                "datetime_beginning_utc": f"{hour.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
                "datetime_beginning_ept": f"{hour:%Y-%m-%dT%H:%M:%S}",
                "pnode_id": number,
                "pnode_name": "short",
                "type": "ZONE" if is_zone else "HUB",
                "total_lmp_da": price_at(hour),
                "system_energy_price_da": price_at(hour),
                "congestion_price_da": 0.0,
                "marginal_loss_price_da": 0.0,
            }
            for hour in hours_of(day, "America/New_York")
        ]
        return _page(rows if self.is_published else [])


_ONE_DAY = timedelta(days=1)


def hours(start: datetime, end: datetime) -> list[datetime]:
    """Starts of the hours in [start, end), in the zone of ``start``."""
    zone, at, found = start.tzinfo, start.astimezone(UTC), []
    while at < end.astimezone(UTC):
        found.append(at.astimezone(zone))
        at += timedelta(hours=1)
    return found


def hours_of(day: date, zone: str) -> list[datetime]:
    """Starts of the 23, 24 or 25 hours of a local day."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    after = day + _ONE_DAY
    return hours(midnight, datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(zone)))


def _gmt(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}-00:00"


def _zip(name: str, text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, text)
    return packed.getvalue()


def _document(number: str, friendly: str, published: str) -> dict[str, dict[str, str]]:
    return {
        "Document": {
            "DocID": number,
            "FriendlyName": friendly,
            "ConstructedName": f"cdr.{friendly}.csv.zip",
            "PublishDate": f"{published}T13:00:00-05:00",
        }
    }


def _pnode(number: int, name: str) -> dict[str, object]:
    return {
        "effective_date": "2020-01-01T00:00:00",
        "termination_date": "9999-12-31T00:00:00",
        "pnode_id": number,
        "pnode_name": name,
        "pnode_subtype": "HUB",
        "pnode_type": "AGGREGATE",
        "voltage_level": None,
        "zone": None,
    }


def _page(rows: Sequence[dict[str, object]]) -> Answer:
    return Answer(json.dumps({"items": rows, "totalRows": len(rows), "links": []}).encode())
