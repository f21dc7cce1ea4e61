"""Amounts as Kubernetes writes them, for things that are counted in whole pieces."""

from __future__ import annotations

from connectors.errors import ContractBroken

_SUFFIXES = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20}


def whole(amount: object) -> int:
    """Return a count of whole things, as ``8``, ``"8"`` or ``"1k"``.

    Raises
    ------
    ContractBroken
        It is no count.
    """
    text = str(amount)
    digits = text.rstrip("kKMGim")
    try:
        return int(float(digits) * _SUFFIXES[text[len(digits) :]])
    except (ValueError, KeyError) as error:
        raise ContractBroken(f"expected a count of whole things, found {text!r}") from error
