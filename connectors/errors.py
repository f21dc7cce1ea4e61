"""What can go wrong outside, named by what the caller does about it.

ConnectorError
├── Unavailable           try again later: not reachable, timed out, overloaded
├── Rejected              call a person: refused for good (unknown zone, bad order)
│   ├── GpusBusy          try again once something has ended: the GPUs are not free now
│   └── CredentialsRefused  get new ones where they run out by themselves, else call a person
│       └── SettingMissing  name the setting to a person: nobody was asked without it
└── ContractBroken        keep what came, do not use it: not what was agreed (gaps, NaN, wrong unit)
"""

from __future__ import annotations


class ConnectorError(Exception):
    """Base of every error a connector raises on purpose."""


class Unavailable(ConnectorError):
    """The other side cannot be reached now. Retry; after ``retry_after_s`` where it said so."""

    def __init__(self, text: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Rejected(ConnectorError):
    """The other side understood and said no. Retrying will not help."""


class GpusBusy(Rejected):
    """The pool has GPUs enough, but not free ones now. Ask again later."""


class CredentialsRefused(Rejected):
    """The credentials are missing, wrong or over."""


class SettingMissing(CredentialsRefused):
    """A setting without which the other side answers nothing is not there; it was not asked."""

    def __init__(self, owner: str, *settings: str) -> None:
        names = " and ".join(map(variable_of, settings))
        super().__init__(f"{owner}: needs {names} in the environment")


def variable_of(setting: str) -> str:
    """Return the environment variable that holds a setting."""
    return f"GRIDTIDE_{setting.upper()}"


class ContractBroken(ConnectorError):
    """The answer is not what was agreed. Its text says what was expected and what came."""
