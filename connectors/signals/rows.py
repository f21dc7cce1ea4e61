"""The rows of a signal file, checked column by column; the first bad row is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.errors import ContractBroken
from connectors.signals.limits import PLAUSIBLE, is_unit_of
from connectors.signals.resolution import infer_minutes
from connectors.types import SignalKind

_HAS_OFFSET = r"(?:[Zz]|[+-]\d{2}:?\d{2})$"
_INSTANT: Final = "datetime64[us, UTC]"
_SERIES = ["site", "kind"]
_LONGEST_MINUTES = 25 * 60  # a local day, where an hour comes twice


class SignalRows:
    """A table with columns ``site, kind, start_at, value`` and maybe ``unit, minutes, known_at``.

    ``first_line`` is the number of its first row in the file at ``path``; ``called`` is how the
    file calls columns, where it differs.
    """

    def __init__(
        self, path: Path, table: pd.DataFrame, first_line: int, called: Mapping[str, str]
    ) -> None:
        self._path = path
        self._called = called
        self._raw = table.reset_index(drop=True)
        self._first_line = first_line

    def checked(self) -> pd.DataFrame:
        """Return the rows with their types, ordered; ``ContractBroken`` at the first bad one."""
        site = self._raw["site"].astype(str).str.strip()
        self._refuse(self._raw["site"].isna() | (site == ""), "site", "a name")
        kind = self._raw["kind"].astype(str).str.strip()
        self._refuse(~kind.isin([*SignalKind]), "kind", f"one of {', '.join(SignalKind)}")
        rows = pd.DataFrame({"site": site.astype(object), "kind": kind.astype(object)})
        rows["start_at"] = self._instants("start_at")
        rows["known_at"] = self._known_at()
        rows["value"] = self._values(rows["kind"])
        self._refuse_wrong_units(rows)
        self._refuse(
            rows.duplicated([*_SERIES, "start_at", "known_at"]),
            "start_at",
            "once for each site and kind",
        )
        rows["minutes"] = self._minutes(rows)
        self._refuse_overlaps(rows)
        order = [*_SERIES, "start_at", "known_at"]
        return rows.sort_values(order, na_position="first", ignore_index=True)

    def _refuse(self, is_bad: pd.Series | NDArray[np.bool_], column: str, limit: str) -> None:
        bad = np.flatnonzero(np.asarray(is_bad, dtype=bool))
        if bad.size:
            at = int(bad[0])
            row = self._raw.iloc[at]
            raise ContractBroken(
                f"{self._path}, line {at + self._first_line}: {row['site']} {row['kind']}"
                f" at {row['start_at']}: {self._called.get(column, column)} = {row[column]!s},"
                f" must be {limit}"
            )

    def _instants(self, column: str) -> pd.Series:
        raw = self._raw[column]
        limit = "an instant with an offset, as 2021-07-05T00:00Z"
        if isinstance(raw.dtype, pd.DatetimeTZDtype):
            self._refuse(raw.isna(), column, limit)
            return raw.astype(_INSTANT)
        text = raw.astype(str).str.strip()
        self._refuse(~text.str.contains(_HAS_OFFSET, regex=True), column, limit)
        instants = pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce")
        self._refuse(instants.isna(), column, limit)
        return instants.astype(_INSTANT)

    def _known_at(self) -> pd.Series:
        unknown = pd.Series(pd.NaT, index=self._raw.index, dtype=_INSTANT)
        if "known_at" not in self._raw:
            return unknown
        raw = self._raw["known_at"]
        is_stated = raw.notna() & (raw.astype(str).str.strip() != "")
        if not is_stated.any():
            return unknown
        # A row that states nothing borrows its start for the check, and is emptied after it.
        self._raw["known_at"] = raw.where(is_stated, self._raw["start_at"])
        return self._instants("known_at").where(is_stated)

    def _values(self, kind: pd.Series) -> pd.Series:
        values = pd.to_numeric(self._raw["value"], errors="coerce").astype("float64")
        self._refuse(~np.isfinite(values), "value", "a finite number")
        for one, (least, most) in PLAUSIBLE.items():
            is_bad = (kind == one.value) & ~values.between(least, most)
            self._refuse(is_bad, "value", f"within [{least:g}, {most:g}] {one.unit}")
        return values

    def _refuse_wrong_units(self, rows: pd.DataFrame) -> None:
        if "unit" not in self._raw:
            return
        units = self._raw["unit"].astype(str).str.strip()
        stated = pd.DataFrame({"kind": rows["kind"], "unit": units}).drop_duplicates()
        for name, unit in stated.itertuples(index=False):
            kind = SignalKind(name)
            if not is_unit_of(kind, unit):
                self._refuse((rows["kind"] == name) & (units == unit), "unit", kind.unit)
        per_series = units.groupby([rows["site"], rows["kind"]])
        self._refuse(units != per_series.transform("first"), "unit", "the same in a whole series")

    def _minutes(self, rows: pd.DataFrame) -> pd.Series:
        if "minutes" in self._raw:
            minutes = pd.to_numeric(self._raw["minutes"], errors="coerce")
            is_whole = minutes.between(1, _LONGEST_MINUTES) & (minutes % 1 == 0)
            self._refuse(~is_whole, "minutes", f"a whole number within [1, {_LONGEST_MINUTES}]")
            return minutes.astype("int64")
        minutes = pd.Series(0, index=rows.index, dtype="int64")
        for (site, kind), series in rows.groupby(_SERIES):
            starts = pd.DatetimeIndex(series["start_at"]).unique().sort_values()
            minutes[series.index] = infer_minutes(f"{self._path}: {site} {kind}", starts)
        return minutes

    def _refuse_overlaps(self, rows: pd.DataFrame) -> None:
        ordered = rows.sort_values([*_SERIES, "known_at", "start_at"], na_position="first")
        ends = ordered["start_at"] + pd.to_timedelta(ordered["minutes"], unit="min")
        before = ends.groupby([ordered["site"], ordered["kind"], ordered["known_at"]], dropna=False)
        is_bad = ordered["start_at"] < before.shift()
        self._refuse(is_bad.sort_index(), "start_at", "at or after the end of the one before")
