"""Every constraint family says what its golden LP file says, and none is without one."""

from __future__ import annotations

import pytest

from tests.optimizer.golden_cases import GOLDEN, families_in_source, family_texts

TEXTS = family_texts()


@pytest.mark.parametrize("family", sorted(TEXTS))
def test_rows_are_the_golden_ones(family: str) -> None:
    """A change of a coefficient, bound, sign or index shows as a difference of text."""
    golden = (GOLDEN / f"{family}.lp").read_text(encoding="utf-8")
    assert TEXTS[family] == golden


def test_every_family_of_the_source_is_built_and_has_a_golden_file() -> None:
    """A constraint added to the source without a case and a golden file fails here."""
    assert families_in_source() == set(TEXTS)
    assert {path.stem for path in GOLDEN.glob("*.lp")} == set(TEXTS)
