"""Cases of a sweep, each with a folder of its own that tells what it is of.

The folder's name ends in a digest of everything the case depends on: another seed or policy beside
it leaves what was played as it is, another file or length of plans begins anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from scheduler.backtest.keeping import Folder
from scheduler.policies import source_digest
from scheduler.specs.backtest import PolicySpec, RegionSpec
from scheduler.sweep.inputs import SweepInputs

_NOT_OF_A_CASE = {"name", "seeds", "regions", "policies", "baseline"}


@dataclass(frozen=True, slots=True)
class Case:
    """One region under one policy, as one seed draws it."""

    region: RegionSpec
    seed: int
    policy: PolicySpec
    path: Path

    @property
    def label(self) -> str:
        """Say which it is."""
        return f"{self.region.name} / {self.seed} / {self.policy.label}"

    @property
    def folder(self) -> Folder:
        """Where its replay is kept."""
        return Folder(self.path)

    @property
    def result_file(self) -> Path:
        """Written last, once it was played to its end and settled."""
        return self.path / "result.json"

    @property
    def is_done(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.result_file.exists()


def cases_of(inputs: SweepInputs, out: Path) -> tuple[Case, ...]:
    """Return every case, in the order of regions, then seeds, then policies."""
    return tuple(_cases(inputs, out))


def _cases(inputs: SweepInputs, out: Path) -> Iterator[Case]:
    spec = inputs.spec
    common = spec.model_dump(mode="json", exclude=_NOT_OF_A_CASE)
    for region, seed, policy in product(spec.regions, spec.seeds, spec.policies):
        whole = {
            "backtest": common,
            "region": region.model_dump(mode="json"),
            "seed": seed,
            "policy": policy.model_dump(mode="json", exclude={"name"}),
            "source": source_digest(policy.use),
            "inputs": inputs.digest,
        }
        digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:12]
        name = f"{region.name}-{seed}-{policy.label}-{digest}"
        yield Case(region, seed, policy, out / "cases" / name)
