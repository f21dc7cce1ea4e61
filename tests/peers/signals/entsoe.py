"""What web-api.tp.entsoe.eu answers, by the guide of its API and the schemas of IEC 62325-451."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from connectors.types import SignalKind, Window
from tests.peers.signals.published import Published
from tests.peers.signals.server import Answer, Request

TOKEN = "a8f0c1d2-3e4b-4c5d-9e6f-7a8b9c0d1e2f"  # noqa: S105 - of nobody
DE_LU = "10Y1001A1001A82H"
_PUBLICATION = "urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3"
_LOAD = "urn:iec62325.351:tc57wg16:451-6:generationloaddocument:3:0"
_ACKNOWLEDGEMENT = "urn:iec62325.351:tc57wg16:451-1:acknowledgementdocument:7:0"
_KINDS = {
    ("A44", ""): SignalKind.PRICE,
    ("A65", "A16"): SignalKind.ZONE_LOAD,
    ("A65", "A01"): SignalKind.ZONE_LOAD_FORECAST,
    ("A75B16", "A16"): SignalKind.ZONE_SOLAR,
    ("A75B18", "A16"): SignalKind.ZONE_WIND,
    ("A75B19", "A16"): SignalKind.ZONE_WIND,
    ("A69B16", "A01"): SignalKind.ZONE_SOLAR_FORECAST,
    ("A69B18", "A01"): SignalKind.ZONE_WIND_FORECAST,
    ("A69B19", "A01"): SignalKind.ZONE_WIND_FORECAST,
}
_SHARES = {"B16": 1.0, "B18": 0.25, "B19": 0.75, "": 1.0}

_Run = list[tuple[datetime, float]]


def acknowledgement(code: str, text: str, status: int = 200) -> Answer:
    """Return the document that says that there is no other."""
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Acknowledgement_MarketDocument'
        f' xmlns="{_ACKNOWLEDGEMENT}"><mRID>0c7b9d1e</mRID>'
        f"<createdDateTime>2026-06-07T09:00:00Z</createdDateTime>"
        f"<Reason><code>{code}</code><text>{escape(text)}</text></Reason>"
        f"</Acknowledgement_MarketDocument>"
    )
    return Answer(body.encode(), "text/xml", status)


@dataclass
class EntsoeDocuments:
    """Implements ``Documents`` for ``DE-LU``.

    ``curve`` is A01, which writes every position, or A03, which leaves out what repeats.
    ``exaa`` also publishes the second auction, which is another price. ``has_sdac`` publishes the
    first.
    """

    curve: str = "A03"
    exaa: bool = True
    has_sdac: bool = True

    def answer(self, request: Request, published: Published) -> Answer:
        """Answer one question, or say what is wrong with it."""
        query = request.query
        if query.get("securityToken") != TOKEN:
            return Answer(b"<html><body>Unauthorized</body></html>", "text/html", 401)
        domains = {value for name, value in query.items() if name.endswith("_Domain")}
        if domains != {DE_LU}:
            return acknowledgement("999", f"Invalid domain {domains}", 400)
        psr_type = query.get("psrType", "")
        key = (query["documentType"] + psr_type, query.get("processType", ""))
        window = Window(_instant(query["periodStart"]), _instant(query["periodEnd"]))
        rows = self._rows(_KINDS[key], window, published, _SHARES[psr_type])
        series = [self._series(query, rows, published, "1")] if self.has_sdac and rows else []
        if _KINDS[key] is SignalKind.PRICE and self.exaa and rows:
            other = [(start, value + 3.21) for start, value in rows]
            series.append(self._series(query, other, published, "2"))
        if query["documentType"] == "A75" and rows:
            consumed = [(start, 11.0) for start, _ in rows]
            series.append(self._series(query, consumed, published, "1", is_out=True))
        if not series:
            what = f"No matching data found for Data item {query['documentType']}"
            return acknowledgement("999", f"{what} and interval.")
        return Answer(_document(query, series), "text/xml;charset=UTF-8")

    @staticmethod
    def _rows(kind: SignalKind, window: Window, published: Published, share: float) -> _Run:
        # Rounded, as it comes: two neighbours may be the same, and A03 leaves out the second.
        return [(at, value * share) for at, value in published.rows(kind, window)]

    def _series(
        self,
        query: dict[str, str],
        rows: _Run,
        published: Published,
        sequence: str,
        is_out: bool = False,
    ) -> str:
        is_price = query["documentType"] == "A44"
        currency, _, measure = (published.wrong_unit or "EUR/MWH").partition("/")
        parts = [f"<mRID>{sequence}</mRID>", "<businessType>A62</businessType>"]
        if is_price:
            parts += [
                f'<in_Domain.mRID codingScheme="A01">{DE_LU}</in_Domain.mRID>',
                f"<currency_Unit.name>{currency}</currency_Unit.name>",
                f"<price_Measure_Unit.name>{measure}</price_Measure_Unit.name>",
                "<classificationSequence_AttributeInstanceComponent.position>"
                f"{sequence}</classificationSequence_AttributeInstanceComponent.position>",
            ]
        else:
            way = "out" if is_out or query["documentType"] == "A65" else "in"
            tag = f"{way}BiddingZone_Domain.mRID"
            parts += [
                f'<{tag} codingScheme="A01">{DE_LU}</{tag}>',
                f"<quantity_Measure_Unit.name>{published.wrong_unit or 'MAW'}"
                "</quantity_Measure_Unit.name>",
            ]
            if "psrType" in query:
                parts.append(f"<MktPSRType><psrType>{query['psrType']}</psrType></MktPSRType>")
        parts.append(f"<curveType>{self.curve}</curveType>")
        name = "price.amount" if is_price else "quantity"
        step = timedelta(minutes=published.minutes)
        parts += [self._period(run, step, name) for run in _runs(rows, step)]
        return f"<TimeSeries>{''.join(parts)}</TimeSeries>"

    def _period(self, run: _Run, step: timedelta, name: str) -> str:
        points = []
        before = None
        for position, (_, value) in enumerate(run, 1):
            if value != before or self.curve == "A01":
                points.append(
                    f"<Point><position>{position}</position><{name}>{value:.6f}</{name}></Point>"
                )
            before = value
        start, end = run[0][0], run[-1][0] + step
        return (
            f"<Period><timeInterval><start>{start:%Y-%m-%dT%H:%MZ}</start>"
            f"<end>{end:%Y-%m-%dT%H:%MZ}</end></timeInterval>"
            f"<resolution>PT{step // timedelta(minutes=1)}M</resolution>{''.join(points)}</Period>"
        )


def _runs(rows: _Run, step: timedelta) -> Iterator[_Run]:
    """Split where something is missing: a document cannot leave it out within a period of A03."""
    run: _Run = []
    for row in rows:
        if run and row[0] != run[-1][0] + step:
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def _document(query: dict[str, str], series: list[str]) -> bytes:
    is_price = query["documentType"] == "A44"
    root = "Publication_MarketDocument" if is_price else "GL_MarketDocument"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<{root} xmlns="{_PUBLICATION if is_price else _LOAD}"><mRID>67528d12b931</mRID>'
        f"<revisionNumber>1</revisionNumber><type>{query['documentType']}</type>"
        f"<createdDateTime>2026-06-07T09:00:00Z</createdDateTime>{''.join(series)}</{root}>"
    ).encode()


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=UTC)
