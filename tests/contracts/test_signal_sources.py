"""Every source of signals passes the contract."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from connectors.protocols import SignalSource
from connectors.signals.files import SignalFile
from connectors.signals.simulated import SimulatedSignals, SimulatedSite
from tests.contracts.signal_source import KINDS, RESOLUTION, SITE, WINDOW, SignalSourceContract


class TestSimulatedSignals(SignalSourceContract):
    """Generated weather."""

    @pytest.fixture
    def source(self) -> SignalSource:
        """One site at a quarter of an hour."""
        minutes = int(RESOLUTION.total_seconds() // 60)
        return SimulatedSignals({SITE: SimulatedSite(50.1, 8.7, pv_peak_kw=100.0)}, 1, minutes)


def long_table() -> pd.DataFrame:
    """Price, carbon intensity and PV in long form, the last row first."""
    starts = pd.date_range(WINDOW.start, WINDOW.end, freq=RESOLUTION, inclusive="left")
    parts = [
        pd.DataFrame({"site": SITE, "signal": kind.value, "start_utc": starts, "value": 1.5})
        for kind in KINDS
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(value=table["value"] + table.index)[::-1]


class TestCsvFile(SignalSourceContract):
    """A CSV file."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> SignalSource:
        """The table, with instants as ISO 8601 text."""
        table = long_table()
        table["start_utc"] = table["start_utc"].map(pd.Timestamp.isoformat)
        table.to_csv(tmp_path / "signals.csv", index=False)
        return SignalFile(tmp_path / "signals.csv")


class TestParquetFile(SignalSourceContract):
    """A Parquet file."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> SignalSource:
        """The table as it is."""
        long_table().to_parquet(tmp_path / "signals.parquet")
        return SignalFile(tmp_path / "signals.parquet")
