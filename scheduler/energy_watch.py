"""The energy watch's loop: one look a minute."""

from __future__ import annotations

import threading

from scheduler.loops import again_and_again
from scheduler.services.energy_watch import EnergyWatch


def run_energy_watch(watch: EnergyWatch, stop: threading.Event) -> None:
    """Look at the beginning of every minute until ``stop`` is set."""
    what = "a look at the energy of jobs"
    again_and_again(watch.look, what, stop, watch.seconds_to_next)
