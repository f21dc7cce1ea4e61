"""A plan with all it takes to understand, re-check and draw it: one value, one JSON text.

``StoredPlan.document`` and ``plan.json`` on disk are both this. Reading back what was written gives
an equal value: tuples stay tuples, and floats are written with all their digits.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from optimizer import Plan, Problem
from scheduler.services.older_documents import peak_as_peaks
from scheduler.services.signal_inputs import SignalInput
from scheduler.services.window import PlanWindow
from scheduler.specs import FleetSpec


class PlanDocument(BaseModel):
    """One plan, the problem it answers, and the baseline it is measured against.

    Attributes
    ----------
    fleet
        The fleet it was made for.
    window
        Which instant each slot of ``problem`` begins at.
    baseline
        The run-now plan of the same problem, settled by the same function.
    marks
        Stale, filled or short inputs and jobs left out, one sentence each.
    cut_jobs
        Jobs of which the plan holds only a part: they go on after its window.
    inputs
        Of how many slots of each signal the values were published, forecast, filled or missing;
        empty in plans that were made before this was kept.
    inputs_known_at
        The instant as of which signals were read; ``None`` in such plans.
    energy_so_far_kwh
        What each site on a tariff had bought in the month, by period, when the window begins.
    declined_before
        Calls that began before the window and that an earlier plan had declined.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fleet: FleetSpec
    window: PlanWindow
    problem: Problem
    plan: Plan
    baseline: Plan
    marks: tuple[str, ...]
    cut_jobs: tuple[str, ...] = ()
    inputs: tuple[SignalInput, ...] = ()
    inputs_known_at: AwareDatetime | None = None
    energy_so_far_kwh: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    declined_before: tuple[str, ...] = ()
    created_at: AwareDatetime

    @property
    def declined(self) -> frozenset[str]:
        """Names of all calls that are declined, by this plan or before it."""
        own = (name for flow in self.plan.flows for name in flow.declined)
        return frozenset(self.declined_before).union(own)

    def to_json(self, *, indent: int | None = None) -> str:
        """Write it as JSON."""
        return self.model_dump_json(indent=indent)

    @model_validator(mode="before")
    @classmethod
    def _as_written_now(cls, record: Any) -> Any:
        return peak_as_peaks(record) if isinstance(record, dict) else record

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what ``to_json`` wrote.

        Raises ``pydantic.ValidationError`` where a field is missing, unknown or of another type,
        or where the problem contradicts itself.
        """
        return cls.model_validate_json(text)

    def to_record(self) -> dict[str, Any]:
        """Return plain JSON values, for a JSON column."""
        return self.model_dump(mode="json")

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Read what ``to_record`` returned."""
        return cls.model_validate(record)
