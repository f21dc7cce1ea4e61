"""Day-ahead prices of CAISO, NYISO, ERCOT and PJM, by the library ``gridstatus``.

Documented at https://opensource.gridstatus.io (0.37). A zone is the operator and one of its
trading hubs, zones or nodes, as the operator calls it:

========================  ========================================================================
zone                      asks
========================  ========================================================================
CAISO:TH_NP15_GEN-APND    OASIS, report PRC_LMP (DAM) of a node
NYISO:N.Y.C.              the day's file of zones, damlbmp_zone
ERCOT:HB_NORTH            the day's settlement point prices of the day-ahead market
PJM:WESTERN HUB           Data Miner 2, da_hrl_lmps, by the name of a hub or zone, or a pnode's id
========================  ========================================================================

The library's frame has ``Interval Start``, ``Interval End`` (aware, local) and ``LMP`` (of ERCOT
``SPP``) [USD/MWh]. It pins another major version of pandas than Gridtide and makes its own
requests; it therefore runs in a Python of its own (``child.py``), which is asked for whole local
days. PJM needs a key of Data Miner 2.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    Rejected,
    SettingMissing,
    Unavailable,
)
from connectors.http_secrets import Secrets
from connectors.signals import fields
from connectors.signals.frames import Question, require_offer, signal_frame
from connectors.source_info import SignalOffer, SourceInfo
from connectors.types import SignalKind, Window

CHILD = Path(__file__).with_name("child.py")
UNIT = "USD/MWh"
_ZONES = {
    "CAISO": "America/Los_Angeles",
    "NYISO": "America/New_York",
    "ERCOT": "America/Chicago",
    "PJM": "America/New_York",
}
_MOST_DAYS = 31
_MOST_BYTES = 8 * 1024 * 1024
_CHUNK = 65_536
_LAST_WORDS_S = 5.0  # how long the pipes of a child that was killed may stay open
_MOST_WORDS = 2000  # characters of what it complains of
# What a child may see of our environment: how to reach the network, and no secret of ours.
_PASSED = (
    "PATH",
    "HOME",
    "LANG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)

INFO = SourceInfo(
    name="gridstatus",
    title="gridstatus, day-ahead prices of CAISO, NYISO, ERCOT and PJM",
    document="https://opensource.gridstatus.io",
    licence="of each operator: public, with terms of use",
    offers=(SignalOffer(SignalKind.PRICE, (60,)),),
    needs=("gridstatus_python",),
    zones_are="OPERATOR:LOCATION, as CAISO:TH_NP15_GEN-APND, NYISO:N.Y.C., ERCOT:HB_NORTH",
)


class UsPrices:
    """Implements ``SignalSource``.

    Parameters
    ----------
    python
        The Python that has ``gridstatus``; ``None``: there is none, and everything is refused.
    pjm_key
        Of Data Miner 2; empty: PJM is refused.
    answer_s
        How long one answer may take [s].
    caiso_pause_s
        How long to wait after each question to CAISO [s], which allows one every five seconds.
    """

    info = INFO

    def __init__(
        self,
        python: Path | None,
        pjm_key: str = "",
        answer_s: float = 300.0,
        caiso_pause_s: float = 5.0,
    ) -> None:
        self._python = python
        self._pjm_key = pjm_key
        self._answer_s = answer_s
        self._caiso_pause_s = caiso_pause_s

    def time_zone(self, zone: str) -> str:
        """Return the time of the operator."""
        return _ZONES[_operator_of(zone)]

    async def fetch(self, zone: str, kind: SignalKind, window: Window) -> pd.DataFrame:
        """Return day-ahead prices [USD/MWh]; when they were published is not told."""
        require_offer(self.info, zone, kind)
        asked = Question(self.info.name, zone, kind, window)
        operator = _operator_of(zone)
        days = local_days(window, _ZONES[operator])
        if len(days) > _MOST_DAYS:
            raise Rejected(f"{asked}: {len(days)} days at once, must be <= {_MOST_DAYS}")
        location = zone.partition(":")[2]
        answer = await self._ask(asked, operator, location, str(days[0]), str(days[-1]))
        return prices_of(asked, answer)

    async def _ask(self, asked: Question, operator: str, *words: str) -> bytes:
        if self._python is None:
            owner = f"{self.info.name}, a Python of its own that docs/signals.md says how to make"
            raise SettingMissing(owner, *self.info.needs)
        if operator == "PJM" and not self._pjm_key:
            raise SettingMissing(f"{self.info.name}, prices of PJM", "pjm_key")
        pause_s = str(self._caiso_pause_s)
        command = (str(self._python), "-I", str(CHILD), operator, *words, pause_s)
        try:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment(),
            )
        except OSError as error:
            raise Rejected(f"{asked}: {self._python}: {error.strerror}") from error
        try:
            async with asyncio.timeout(self._answer_s):
                out, complaint = await asyncio.gather(_answer(child), _last_words(child.stderr))
                code = await child.wait()
        except TimeoutError as error:
            raise Unavailable(f"{asked}: no answer in {self._answer_s:g} s") from error
        finally:
            await _ended(child)
        if len(out) > _MOST_BYTES:
            raise ContractBroken(f"{asked}: more than {_MOST_BYTES} bytes came")
        if code != 0:
            last = self._hidden(complaint.decode(errors="replace").strip()[-_MOST_WORDS:])
            raise Rejected(f"{asked}: {self._python} ended with {code}: {last}")
        return self._hidden(out.decode(errors="replace")).encode()

    def _environment(self) -> dict[str, str]:
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        return passed | ({"PJM_API_KEY": self._pjm_key} if self._pjm_key else {})

    def _hidden(self, text: str) -> str:
        return Secrets(more=(self._pjm_key,)).hidden(text)


def local_days(window: Window, time_zone: str) -> list[date]:
    """Return the days, by the clock of ``time_zone``, that ``window`` touches."""
    zone = ZoneInfo(time_zone)
    first = window.start.astimezone(zone).date()
    last = (window.end.astimezone(zone) - timedelta(microseconds=1)).date()
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def prices_of(asked: Question, answer: bytes) -> pd.DataFrame:
    """Read what ``child.py`` prints."""
    owner = str(asked)
    try:
        document = json.loads(answer)
    except ValueError as error:
        raise ContractBroken(f"{owner}: not JSON: {error}") from error
    whole = fields.an_object(owner, document)
    if "error" in whole:
        raise _error_of(owner, whole)
    rows = whole.get("rows")
    if not isinstance(rows, list):
        raise ContractBroken(f"{owner}: rows = {rows!r}, must be a list")
    starts, minutes, values = [], [], []
    for start, end, price in _triples(owner, rows):
        value = fields.as_number(owner, "price", price)
        if value is not None:
            starts.append(start)
            minutes.append(round((end - start) / timedelta(minutes=1)))
            values.append(value)
    return signal_frame(asked, starts, minutes, values, UNIT)


def _operator_of(zone: str) -> str:
    operator, colon, location = zone.partition(":")
    if operator not in _ZONES or not colon or not location:
        raise Rejected(
            f"{INFO.name}: zone = {zone!r}, must be OPERATOR:LOCATION with an operator of"
            f" {', '.join(_ZONES)}, as NYISO:N.Y.C."
        )
    return operator


def _error_of(owner: str, whole: Any) -> ConnectorError:
    text = f"{owner}: {whole.get('text')}"
    kinds = {"unavailable": Unavailable, "rejected": Rejected}
    kind: type[ConnectorError] = kinds.get(whole["error"], ContractBroken)
    return kind(text)


def _triples(owner: str, rows: list[Any]) -> Iterable[tuple[datetime, datetime, Any]]:
    for row in rows:
        if not isinstance(row, list) or len(row) != 3:
            raise ContractBroken(f"{owner}: row = {row!r}, must be start, end and price")
        named = {"start": row[0], "end": row[1]}
        yield fields.instant(owner, named, "start"), fields.instant(owner, named, "end"), row[2]


async def _ended(child: asyncio.subprocess.Process) -> None:
    """End a child that still runs."""
    if child.returncode is not None:
        return
    child.kill()
    # Who waits for a process waits for its pipes as well, and one that is full is never closed.
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_S):
            await asyncio.gather(_drained(child.stdout), _drained(child.stderr), child.wait())


async def _drained(stream: asyncio.StreamReader | None) -> None:
    while stream is not None and await stream.read(_CHUNK):
        pass


async def _answer(child: asyncio.subprocess.Process) -> bytes:
    """Read all it answers; one that goes on beyond what is allowed is killed."""
    kept = b""
    while child.stdout is not None and (chunk := await child.stdout.read(_CHUNK)):
        if len(kept) <= _MOST_BYTES:
            kept += chunk
        elif child.returncode is None:
            child.kill()
    return kept


async def _last_words(stream: asyncio.StreamReader | None) -> bytes:
    """Read all of a stream and keep its end."""
    kept = b""
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        kept = (kept + chunk)[-4 * _MOST_WORDS :]
    return kept
