"""Reading the wire format of protocol buffers, as far as a few published messages need it.

A message is fields after each other: a tag (number of the field and kind of its value, a varint),
then the value: a varint, 4 or 8 bytes, or a length and so many bytes (text, or another message).
Fields that nobody asks for are passed over, so newer messages are read as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from connectors.errors import ContractBroken

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_LENGTHS = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}
_LONGEST_VARINT = 10

Fields = Mapping[int, Sequence[bytes]]


def fields_of(message: bytes) -> Fields:
    """Return the values of all fields with a length, in their order, by number.

    Raises
    ------
    ContractBroken
        It ends within a field, or holds what is no field.
    """
    found: dict[int, list[bytes]] = defaultdict(list)
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            _, at = _varint(message, at)
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in _LENGTHS:
            length = _LENGTHS[kind]
        else:
            raise ContractBroken(f"byte {at}: a field of kind {kind}, must be 0, 1, 2 or 5")
        if at + length > len(message):
            raise ContractBroken(f"byte {at}: {length} bytes are to follow, {len(message) - at} do")
        if kind == _BYTES:
            found[tag >> 3].append(message[at : at + length])
        at += length
    return found


def texts(fields: Fields, number: int) -> list[str]:
    """Return all values of a field that is text.

    Raises
    ------
    ContractBroken
        It is none.
    """
    try:
        return [value.decode() for value in fields.get(number, ())]
    except UnicodeDecodeError as error:
        raise ContractBroken(f"field {number}: is no text: {error}") from error


def text(fields: Fields, number: int) -> str:
    """Return the value of a field that is one text; one that was not sent is empty."""
    return "".join(texts(fields, number)[-1:])


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, and the place behind it."""
    number = 0
    for index, byte in enumerate(message[at : at + _LONGEST_VARINT]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, at + index + 1
    raise ContractBroken(f"byte {at}: no number ends within {_LONGEST_VARINT} bytes")
