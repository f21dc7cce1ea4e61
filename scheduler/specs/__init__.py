"""What users write: fleets and jobs, in their own units and time zones, validated once, here.

The same models are read from TOML, CSV and JSON files, from REST bodies, and from the database.
"""

from scheduler.specs.fleet import FleetSpec
from scheduler.specs.forecast import ForecastMethod, MarginsSpec
from scheduler.specs.job import JobSpec
from scheduler.specs.job_array import JobArraySpec
from scheduler.specs.replan import ReplanSpec
from scheduler.specs.run_times import RunTimesSpec

__all__ = [
    "FleetSpec",
    "ForecastMethod",
    "JobArraySpec",
    "JobSpec",
    "MarginsSpec",
    "ReplanSpec",
    "RunTimesSpec",
]
