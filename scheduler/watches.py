"""The loops of the watches: most look once a minute, for causes to replan twice a second.

Feeds are looked after every five: most looks find none due.
"""

from __future__ import annotations

import threading

from scheduler.loops import again_and_again
from scheduler.services.energy_watch import EnergyWatch
from scheduler.services.feeds import FeedWatch
from scheduler.services.ledger_watch import LedgerWatch
from scheduler.services.power_watch import PowerWatch
from scheduler.services.replan_watch import ReplanWatch
from scheduler.services.settlement_watch import SettlementWatch
from scheduler.services.signal_watch import SignalWatch

REPLAN_LOOK_EVERY_S = 0.5
FEED_LOOK_EVERY_S = 5.0


def run_power_watch(watch: PowerWatch, stop: threading.Event) -> None:
    """Look at the beginning of every minute until ``stop`` is set."""
    what = "a look at the power of the clusters"
    again_and_again(watch.look, what, stop, watch.seconds_to_next)


def run_energy_watch(watch: EnergyWatch, stop: threading.Event) -> None:
    """Look at the beginning of every minute until ``stop`` is set."""
    again_and_again(watch.look, "a look at the energy of jobs", stop, watch.seconds_to_next)


def run_signal_watch(watch: SignalWatch, stop: threading.Event) -> None:
    """Look at the beginning of every minute until ``stop`` is set."""
    again_and_again(watch.look, "a look at signals that came in", stop, watch.seconds_to_next)


def run_replan_watch(watch: ReplanWatch, stop: threading.Event) -> None:
    """Look twice a second until ``stop`` is set; nearly all looks are short."""
    again_and_again(watch.look, "a look for causes to replan", stop, lambda: REPLAN_LOOK_EVERY_S)


def run_feed_watch(watch: FeedWatch, stop: threading.Event) -> None:
    """Look every five seconds until ``stop`` is set; what is fetched then is left to end."""
    again_and_again(watch.look, "a look at the feeds", stop, lambda: FEED_LOOK_EVERY_S)


def run_settlement_watch(watch: SettlementWatch, stop: threading.Event) -> None:
    """Look at the beginning of every minute until ``stop`` is set; most looks find none due."""
    again_and_again(watch.look, "a look at events to settle", stop, watch.seconds_to_next)


def run_ledger_watch(watch: LedgerWatch, stop: threading.Event) -> None:
    """Look at the beginning of every minute until ``stop`` is set; most looks find none due."""
    again_and_again(watch.look, "a look at what the ledger owes", stop, watch.seconds_to_next)
