"""Every source of signals that asks nobody passes the contract."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from connectors.protocols import SignalSource
from connectors.signals.files import SignalFile
from connectors.signals.simulated import SimulatedSignals, SimulatedSite
from connectors.types import SignalKind
from tests.contracts.signal_source import WINDOW, SignalSourceContract, SourceCase

KINDS = (SignalKind.PRICE, SignalKind.CARBON_INTENSITY, SignalKind.PV)


@pytest.fixture
def case() -> SourceCase:
    """Two days of three kinds at a quarter of an hour."""
    return SourceCase("north", KINDS, 15)


class TestSimulatedSignals(SignalSourceContract):
    """Generated weather."""

    @pytest.fixture
    def source(self, case: SourceCase) -> SignalSource:
        """One site."""
        site = SimulatedSite(50.1, 8.7, pv_peak_kw=100.0)
        return SimulatedSignals({case.zone: site}, 1, case.minutes)


def long_table(case: SourceCase) -> pd.DataFrame:
    """Values of every kind in long form, the last row first."""
    starts = pd.date_range(WINDOW.start, WINDOW.end, freq=f"{case.minutes}min", inclusive="left")
    parts = [
        pd.DataFrame({"site": case.zone, "signal": kind.value, "start_utc": starts, "value": 1.5})
        for kind in case.kinds
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(value=table["value"] + table.index)[::-1]


class TestCsvFile(SignalSourceContract):
    """A CSV file."""

    @pytest.fixture
    def source(self, tmp_path: Path, case: SourceCase) -> SignalSource:
        """The table, with instants as ISO 8601 text."""
        table = long_table(case)
        table["start_utc"] = table["start_utc"].map(pd.Timestamp.isoformat)
        table.to_csv(tmp_path / "signals.csv", index=False)
        return SignalFile(tmp_path / "signals.csv")


class TestParquetFile(SignalSourceContract):
    """A Parquet file."""

    @pytest.fixture
    def source(self, tmp_path: Path, case: SourceCase) -> SignalSource:
        """The table as it is."""
        long_table(case).to_parquet(tmp_path / "signals.parquet")
        return SignalFile(tmp_path / "signals.parquet")
