"""How the hours that jobs state are read."""

from __future__ import annotations

from scheduler.specs.base import Spec
from scheduler.specs.forecast import Level


class RunTimesSpec(Spec):
    """Plan jobs with the hours within which a share ``quantile`` of their tenant's jobs end.

    Jobs that waited are planned with no more than they state, and no job starts later than its
    stated hours allow its deadline, unless ``may_miss_deadline``. A job that says that its
    ``hours_are_exact`` is planned with what it states.
    """

    quantile: Level = 0.7
    may_miss_deadline: bool = False
