"""What a plan's signals rest on, in words: shared by the page and the summary."""

from __future__ import annotations

from scheduler.services.signal_inputs import SignalInput

INPUT_COLUMNS = ("published", "forecast", "filled", "missing", "flagged")


def input_slots(one: SignalInput) -> tuple[int, ...]:
    """Return the slots of each of ``INPUT_COLUMNS``."""
    return (
        one.published_slots,
        one.forecast_slots,
        one.filled_slots,
        one.missing_slots,
        one.flagged_slots,
    )


def age_words(one: SignalInput) -> str:
    """Say how old the newest value was when the plan was made [h]."""
    if one.age_hours is None:
        return "\u2013"
    return f"{one.age_hours:.1f}{' (stale)' if one.is_stale else ''}"
