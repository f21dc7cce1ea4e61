"""What a service may refuse, named by what the caller does about it.

ServiceError
├── NotFound       there is no such thing: ask for another
├── Invalid        the request can never be honoured: correct it
├── Conflict       it stands against what is there now: look again, then decide
└── Forbidden      the caller may not do this: ask somebody with another role
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import ValidationError


class ServiceError(Exception):
    """Base of every error a service raises on purpose."""


class NotFound(ServiceError):
    """There is no such thing."""

    def __init__(self, kind: str, name: object) -> None:
        super().__init__(f"there is no {kind} {str(name)!r}")
        self.kind, self.name = kind, str(name)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One value that cannot be accepted: whose it is, what it is, and what it must be."""

    owner: str  # e.g. "job train-7"
    field: str
    value: object
    limit: str

    def __str__(self) -> str:
        return f"{self.owner}: {self.field} = {self.value!r}, must be {self.limit}"


def must_be(sentence: str) -> str:
    """Return the limit a sentence of pydantic's tells, as it reads after "must be"."""
    return sentence.removeprefix("Input should be ").removeprefix("Value error, ")


class Invalid(ServiceError):
    """Some values can never be accepted; all that were found are named."""

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__("; ".join(str(refusal) for refusal in refusals))
        self.refusals = refusals

    @classmethod
    def from_validation(cls, owner: str, error: ValidationError) -> Self:
        """Name what a spec refused."""
        found = error.errors(include_url=False, include_context=False)
        return cls(
            *(
                Refusal(owner, ".".join(map(str, one["loc"])), one["input"], must_be(one["msg"]))
                for one in found
            )
        )


class Conflict(ServiceError):
    """The request stands against the present state."""


class Forbidden(ServiceError):
    """The caller's role does not allow this."""
