"""SunSpec models as registers: where a point stands, its scale, and what means "not implemented".

After the SunSpec Device Information Model Specification (4.2 and 4.3): big-endian registers, a
scale factor is a power of ten that stands in the same model, and each type has one value that says
that a device does not implement the point.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from connectors.errors import ContractBroken

HEADER = 2  # registers of a model's ID and length
_LARGEST_EXPONENT = 10
_FORMATS = {
    "int16": "h",
    "uint16": "H",
    "count": "H",
    "acc16": "H",
    "enum16": "H",
    "bitfield16": "H",
    "sunssf": "h",
    "int32": "i",
    "uint32": "I",
    "acc32": "I",
    "enum32": "I",
    "bitfield32": "I",
    "float32": "f",
    "int64": "q",
    "uint64": "Q",
    "acc64": "Q",
    "float64": "d",
}
_NOT_IMPLEMENTED = {
    "int16": -0x8000,
    "sunssf": -0x8000,
    "int32": -0x8000_0000,
    "int64": -0x8000_0000_0000_0000,
    "uint16": 0xFFFF,
    "enum16": 0xFFFF,
    "bitfield16": 0xFFFF,
    "uint32": 0xFFFF_FFFF,
    "enum32": 0xFFFF_FFFF,
    "bitfield32": 0xFFFF_FFFF,
    "uint64": 0xFFFF_FFFF_FFFF_FFFF,
    "count": 0,
    "acc16": 0,
    "acc32": 0,
    "acc64": 0,
}


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a model; ``offset`` counts registers from the model's ID."""

    name: str
    offset: int
    size: int
    kind: str
    scale: str | int | None


@dataclass(frozen=True, slots=True)
class Layout:
    """The points of a model that stand at a fixed place; ``size`` is up to the last of them."""

    model: int
    size: int
    points: dict[str, Point]


@lru_cache(maxsize=64)
def layout_of(model: int) -> Layout:
    """Return the layout of a model that is defined."""
    folder = resources.files("sunspec2") / "models" / "json"
    document = json.loads((folder / f"model_{model}.json").read_text(encoding="utf-8"))
    points: dict[str, Point] = {}
    offset = 0
    for one in document["group"]["points"]:
        size = int(one["size"])
        scale = one.get("sf")
        points[one["name"]] = Point(one["name"], offset, size, one["type"], scale)
        offset += size
    return Layout(model, offset, points)


@dataclass(frozen=True, slots=True)
class Block:
    """One model as it was read, from its ID on; a device may have fewer points than are defined."""

    called: str
    layout: Layout
    registers: tuple[int, ...]

    def has(self, name: str) -> bool:
        """Whether the device implements a point."""
        return self.raw(name) is not None

    def raw(self, name: str) -> int | float | None:
        """Return a point unscaled; ``None`` where it is not implemented."""
        point = self.layout.points[name]
        words = self.registers[point.offset : point.offset + point.size]
        if len(words) < point.size:
            return None
        value: int | float = struct.unpack(
            f">{_FORMATS[point.kind]}", struct.pack(f">{point.size}H", *words)
        )[0]
        if point.kind.startswith("float"):
            return None if math.isnan(value) else value
        return None if value == _NOT_IMPLEMENTED[point.kind] else value

    def value(self, name: str) -> float | None:
        """Return a point in its unit; ``None`` where it is not implemented.

        Raises ``ContractBroken`` where its scale factor is none.
        """
        raw = self.raw(name)
        if raw is None:
            return None
        value = float(raw) * 10.0 ** self.exponent(name)
        if not math.isfinite(value):
            raise ContractBroken(f"{self.called}: {name} of model {self.layout.model} is {value}")
        return value

    def exponent(self, name: str) -> int:
        """Return the power of ten that a point is to be multiplied by."""
        scale = self.layout.points[name].scale
        exponent = self.raw(scale) if isinstance(scale, str) else scale
        if exponent is None:
            return 0  # not implemented: the point is not scaled
        if abs(exponent) > _LARGEST_EXPONENT:
            raise ContractBroken(
                f"{self.called}: {scale} of model {self.layout.model} is {exponent},"
                f" must be within [-{_LARGEST_EXPONENT}, {_LARGEST_EXPONENT}]"
            )
        return int(exponent)

    def to_raw(self, name: str, value: float) -> int:
        """Return what is to be written for a value, rounded towards zero.

        Raises ``ContractBroken`` where the point cannot hold it.
        """
        kind = self.layout.points[name].kind
        # A whole number that floats leave just below itself is that number.
        raw = math.trunc(round(value / 10.0 ** self.exponent(name), 6))
        try:
            struct.pack(f">{_FORMATS[kind]}", raw)
        except struct.error as error:
            raise ContractBroken(
                f"{self.called}: {name} of model {self.layout.model} cannot hold {value:g}"
            ) from error
        return raw


def words_of(layout: Layout, values: Sequence[tuple[str, int]]) -> tuple[int, list[int]]:
    """Return the offset of points that stand side by side, and their raw values as registers."""
    first = layout.points[values[0][0]].offset
    words: list[int] = []
    for name, raw in values:
        point = layout.points[name]
        if point.offset != first + len(words):
            raise ValueError(f"model {layout.model}: {name} does not follow what is before it")
        words += struct.unpack(f">{point.size}H", struct.pack(f">{_FORMATS[point.kind]}", raw))
    return first, words
