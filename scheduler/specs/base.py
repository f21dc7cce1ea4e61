"""The one base of every spec: frozen, and a field nobody knows is an error, not ignored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field


class Spec(BaseModel):
    """Base of everything users write."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _to_utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An instant with an offset, kept in UTC. A naive one is refused."""

Name = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]*$")]
"""Letters, digits, dot, underscore and dash: safe in paths, labels and URLs."""

NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
