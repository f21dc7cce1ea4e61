"""A SunSpec device: which models it has, and where. What it says of itself is checked each time.

Models stand in a chain behind the mark "SunS" at one of three addresses: each with its ID and
length, the last with ID 0xFFFF (SunSpec Device Information Model Specification, 6.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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


@dataclass
class _Walk:
    """How far the walk along the models has come: ``at`` is where the next one begins."""

    at: int
    chain: Chain = field(default_factory=dict)
    n_models: int = 0
    is_over: bool = False


class SunSpecDevice:
    """Reads and writes models. What models it has is found once, and again after a contradiction.

    ``called`` is what it is called in errors.
    """

    def __init__(self, address: ModbusAddress, called: str) -> None:
        self.called = called
        self._connection = ModbusConnection(address, called)
        self._walk: _Walk | None = None

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
        self._walk = None

    async def close(self) -> None:
        """Hang up."""
        await self._connection.close()

    async def _found(self) -> Chain:
        """Walk the chain, or go on where a walk was broken off: a slow device is given up often."""
        walk = self._walk
        if walk is None:
            walk = self._walk = _Walk(await self._base() + len(_MARK))
        while not walk.is_over:
            model, length = await self._header(walk.at)
            walk.is_over = model == _END
            if not walk.is_over:
                self._pass_by(walk, model, length)
        return walk.chain

    def _pass_by(self, walk: _Walk, model: int, length: int) -> None:
        room = _LAST_REGISTER - HEADER - walk.at
        problem = ""
        if not 0 < length <= room:
            problem = f"model {model} at {walk.at} has {length} registers, not within [1, {room}]"
        elif walk.n_models == _MOST_MODELS:
            problem = f"more than {_MOST_MODELS} models, or no end of them"
        if problem:
            self.forget()
            raise ContractBroken(f"{self.called}: {problem}")
        walk.chain.setdefault(model, (walk.at, length))
        walk.n_models += 1
        walk.at += HEADER + length

    async def _base(self) -> int:
        for base in _BASES:
            try:
                if await self._connection.read(base, len(_MARK)) == _MARK:
                    return base
            except Rejected:  # no registers there
                continue
        raise ContractBroken(f"{self.called}: no SunSpec device: no mark at {_BASES}")

    async def _header(self, start: int) -> tuple[int, ...]:
        try:
            return await self._connection.read(start, HEADER)
        except Rejected as error:
            self.forget()
            raise ContractBroken(
                f"{self.called}: the chain of its models leads to {start}, where there is none"
            ) from error
