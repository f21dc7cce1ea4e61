"""Signals from the store: every value that was ever known, and when."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from scheduler.backtest.policies import HISTORY_DAYS
from scheduler.db.session import transaction
from scheduler.main import open_sessions
from scheduler.services.signal_store import Wanted, all_values
from scheduler.settings import Settings
from scheduler.specs import FleetSpec
from scheduler.specs.base import EARLIEST, LATEST


def read_store(fleet: FleetSpec, begin: datetime, end: datetime) -> pd.DataFrame:
    """Read what the database of the settings knows of the fleet's sites, and of the days before."""
    sites = [site.name for site in fleet.sites]
    wanted = Wanted(begin - timedelta(days=HISTORY_DAYS), end, sites)
    with transaction(open_sessions(Settings())) as session:
        return all_values(session, wanted, EARLIEST, LATEST)
