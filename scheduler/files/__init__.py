"""Files users write, read with every error at once; and the folder a plan is written to."""

from scheduler.files.errors import BadFile
from scheduler.files.fleet import read_bytes, read_fleet, read_text
from scheduler.files.grid_script import read_grid_script
from scheduler.files.jobs import read_jobs
from scheduler.files.plan_folder import read_plan, write_plan_folder

__all__ = [
    "BadFile",
    "read_bytes",
    "read_fleet",
    "read_grid_script",
    "read_jobs",
    "read_plan",
    "read_text",
    "write_plan_folder",
]
