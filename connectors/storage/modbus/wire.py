"""One Modbus TCP connection: made when it is needed, dropped with the first thing that is wrong.

An answer that comes late would be taken for that to the next question: after a timeout, a
cancellation or an answer that makes no sense, the next question goes by a new connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from connectors.errors import ConnectorError, ContractBroken, Rejected, Unavailable

_MOST_READ, _MOST_WRITTEN = 125, 123  # registers of one request (Modbus V1.1b3, 6.3 and 6.12)
# Refused for good; whatever else a device answers passes by itself.
_REFUSALS = frozenset({ExcCodes.ILLEGAL_FUNCTION, ExcCodes.ILLEGAL_ADDRESS, ExcCodes.ILLEGAL_VALUE})
_NAMES = {code.value: code.name for code in ExcCodes}


@dataclass(frozen=True, slots=True)
class ModbusAddress:
    """Where a device is, and how long it has for one answer [s]."""

    host: str
    port: int = 502
    unit: int = 1
    answer_s: float = 1.0


class ModbusConnection:
    """Reads and writes holding registers, one request at a time."""

    def __init__(self, address: ModbusAddress, called: str) -> None:
        self._address = address
        self._called = called
        self._client: AsyncModbusTcpClient | None = None
        self._turn = asyncio.Lock()

    async def read(self, start: int, count: int) -> tuple[int, ...]:
        """Return ``count`` registers from ``start`` on."""
        words: list[int] = []
        while len(words) < count:
            some = min(_MOST_READ, count - len(words))
            words += await self._read(start + len(words), some)
        return tuple(words)

    async def write(self, start: int, words: Sequence[int]) -> None:
        """Write registers from ``start`` on, in one request."""
        if len(words) > _MOST_WRITTEN:
            raise ValueError(f"{len(words)} registers, at most {_MOST_WRITTEN} in one request")
        async with self._turn:
            client = await self._connected()
            what = f"write of {len(words)} registers at {start}"
            unit = self._address.unit
            await self._answer(client.write_registers(start, list(words), device_id=unit), what)

    async def close(self) -> None:
        """Hang up."""
        self._drop()

    async def _read(self, start: int, count: int) -> list[int]:
        async with self._turn:
            client = await self._connected()
            what = f"read of {count} registers at {start}"
            asked = client.read_holding_registers(start, count=count, device_id=self._address.unit)
            words = list((await self._answer(asked, what)).registers)
            if len(words) != count:
                self._drop()
                raise ContractBroken(f"{self._called}: {what}: {len(words)} came")
            return words

    async def _answer(self, asked: Awaitable[ModbusPDU], what: str) -> ModbusPDU:
        try:
            async with asyncio.timeout(self._address.answer_s):
                answer = await asked
        except (ModbusException, OSError, TimeoutError) as error:
            self._drop()
            raise Unavailable(f"{self._called}: {what}: {error or 'no answer'}") from error
        except BaseException:
            self._drop()
            raise
        if answer.isError():
            raise self._refusal(answer, what)
        return answer

    def _refusal(self, answer: ModbusPDU, what: str) -> ConnectorError:
        code = answer.exception_code
        name = _NAMES.get(code, "unknown")
        kind = Rejected if code in _REFUSALS else Unavailable
        return kind(f"{self._called}: {what}: exception {code} ({name.lower()})")

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is not None and self._client.connected:
            return self._client
        self._drop()
        address = self._address
        # It is not to connect by itself: who asks next does.
        client = AsyncModbusTcpClient(
            address.host,
            port=address.port,
            timeout=address.answer_s,
            retries=0,
            reconnect_delay=0,
        )
        self._client = client
        try:
            async with asyncio.timeout(address.answer_s):
                is_connected = await client.connect()
        except (OSError, TimeoutError) as error:
            self._drop()
            raise self._unreachable() from error
        except BaseException:
            self._drop()
            raise
        if not is_connected:
            self._drop()
            raise self._unreachable()
        return client

    def _unreachable(self) -> Unavailable:
        address = self._address
        return Unavailable(f"{self._called}: nobody answers at {address.host}:{address.port}")

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
