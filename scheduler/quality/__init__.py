"""What is suspicious about values that came in. Pure: no database, no clock; numpy and pandas."""

from scheduler.quality.examine import HISTORY_DAYS, examine
from scheduler.quality.findings import Finding, Rule
from scheduler.quality.series import Series

__all__ = ["HISTORY_DAYS", "Finding", "Rule", "Series", "examine"]
