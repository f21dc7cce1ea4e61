"""The power watch's loop: one look a minute, whatever happens to the database meanwhile."""

from __future__ import annotations

import logging
import threading

from scheduler.db.outage import DATABASE_AWAY
from scheduler.services.power_watch import PowerWatch

log = logging.getLogger(__name__)


def run_power_watch(watch: PowerWatch, stop: threading.Event) -> None:
    """Look at the beginning of every minute until ``stop`` is set."""
    while not stop.is_set():
        try:
            watch.look()
        except DATABASE_AWAY as error:
            log.warning("database unavailable, trying again: %s", error.orig)
        except Exception:  # one bad look must not be the last
            log.exception("a look at the power of the clusters failed")
        stop.wait(watch.seconds_to_next())
