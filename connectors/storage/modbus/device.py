"""A SunSpec device: which models it has, and where. What it says of itself is checked each time.

Models stand in a chain behind the mark "SunS" at one of three addresses: each with its ID and
length, the last with ID 0xFFFF (SunSpec Device Information Model Specification, 6.2).
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.errors import ContractBroken, Rejected
from connectors.storage.modbus.layout import HEADER, Block, layout_of, words_of
from connectors.storage.modbus.wire import ModbusAddress, ModbusConnection

_BASES = (40_000, 0, 50_000)
_MARK = (0x5375, 0x6E53)  # "SunS"
_END = 0xFFFF
_MOST_MODELS = 100
_LAST_REGISTER = 0xFFFF

Chain = dict[int, tuple[int, int]]
"""Address of a model's ID, and its length without ID and length; of a model's first occurrence."""


class SunSpecDevice:
    """Reads and writes models. What models it has is found once, and again after a contradiction.

    ``called`` is what it is called in errors.
    """

    def __init__(self, address: ModbusAddress, called: str) -> None:
        self.called = called
        self._connection = ModbusConnection(address, called)
        self._chain: Chain | None = None

    async def models(self) -> frozenset[int]:
        """Return the models it has."""
        return frozenset(await self._found())

    async def read(self, model: int) -> Block:
        """Read a model it has.

        Raises ``ContractBroken`` where another one stands in its place by now.
        """
        start, length = (await self._found())[model]
        layout = layout_of(model)
        words = await self._connection.read(start, min(layout.size, HEADER + length))
        if words[:HEADER] != (model, length):
            self.forget()
            raise ContractBroken(
                f"{self.called}: model {model} with {length} registers stood at {start},"
                f" now {words[0]} with {words[1]}"
            )
        return Block(self.called, layout, words)

    async def write(self, model: int, values: Sequence[tuple[str, int]]) -> None:
        """Write raw values of points that stand side by side, in one request."""
        start, _ = (await self._found())[model]
        offset, words = words_of(layout_of(model), values)
        await self._connection.write(start + offset, words)

    def forget(self) -> None:
        """Look for its models anew: what was found makes no sense."""
        self._chain = None

    async def close(self) -> None:
        """Hang up."""
        await self._connection.close()

    async def _found(self) -> Chain:
        if self._chain is None:
            self._chain = await self._walk(await self._base() + len(_MARK))
        return self._chain

    async def _base(self) -> int:
        for base in _BASES:
            try:
                if await self._connection.read(base, len(_MARK)) == _MARK:
                    return base
            except Rejected:  # no registers there
                continue
        raise ContractBroken(f"{self.called}: no SunSpec device: no mark at {_BASES}")

    async def _walk(self, start: int) -> Chain:
        chain: Chain = {}
        for _ in range(_MOST_MODELS):
            model, length = await self._header(start)
            if model == _END:
                return chain
            if not 0 < length <= _LAST_REGISTER - HEADER - start:
                raise ContractBroken(
                    f"{self.called}: model {model} at {start} has {length} registers, must be"
                    f" within [1, {_LAST_REGISTER - HEADER - start}]"
                )
            chain.setdefault(model, (start, length))
            start += HEADER + length
        raise ContractBroken(f"{self.called}: more than {_MOST_MODELS} models, or no end of them")

    async def _header(self, start: int) -> tuple[int, ...]:
        try:
            return await self._connection.read(start, HEADER)
        except Rejected as error:
            raise ContractBroken(
                f"{self.called}: the chain of its models leads to {start}, where there is none"
            ) from error
