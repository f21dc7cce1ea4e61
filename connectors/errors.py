"""What can go wrong outside, named by what the caller does about it.

ConnectorError
├── Unavailable        try again later: not reachable, timed out, overloaded
├── Rejected           call a person: refused for good (credentials, unknown zone, bad order)
│   └── GpusBusy       try again once something has ended: the GPUs are not free now
└── ContractBroken     keep what came, do not use it: not what was agreed (gaps, NaN, wrong unit)
"""

from __future__ import annotations


class ConnectorError(Exception):
    """Base of every error a connector raises on purpose."""


class Unavailable(ConnectorError):
    """The other side cannot be reached now. Retry."""


class Rejected(ConnectorError):
    """The other side understood and said no. Retrying will not help."""


class GpusBusy(Rejected):
    """The pool has GPUs enough, but not free ones now. Ask again later."""


class ContractBroken(ConnectorError):
    """The answer is not what was agreed. Its text says what was expected and what came."""
