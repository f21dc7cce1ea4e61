"""A plan document read back is the plan document written: tuples, floats and all."""

from __future__ import annotations

import json
from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.types import GridEventNotice, SignalKind, Window
from optimizer import baselines, greedy
from scheduler.services.assemble import assemble
from scheduler.services.plan_document import PlanDocument
from tests.services.builders import START, flat_signals, fleet_spec, signal_rows, site_spec, window
from tests.services.test_assemble_jobs import PAUSABLE, running, to_plan


def document(price: float = 50.0) -> PlanDocument:
    """A plan with something of everything."""
    site = site_spec(
        has_pv=True,
        peak={"charge_per_kw": 1.1},
        batteries=[{"power_kw": 1 / 3, "capacity_kwh": 2, "soc_initial_kwh": 0.1}],
        generators=[{"max_kw": 3, "fuel_per_kwh": 0.4}],
    )
    fleet = fleet_spec(
        site, site_spec("FR"), links=[{"from_site": "DE", "to_site": "FR", "gb_per_hour": 10}]
    )
    signals = pd.concat(
        [
            flat_signals("DE", "FR"),
            signal_rows("DE", SignalKind.PV, [0.1 + 0.2] * 24),
            signal_rows("DE", SignalKind.PRICE, [price], known_at=START),
        ]
    )
    span = Window(START, START + timedelta(hours=2))
    jobs = [
        to_plan("a", **PAUSABLE),
        running(2),
        to_plan("c", after=["a"], data={"site": "DE", "size_gb": 3}),
    ]
    event = GridEventNotice("dr", "DE", span, 1.0, 2.0)
    made = assemble(fleet, jobs, signals, [event], window(), now=START)
    return PlanDocument(
        fleet=fleet,
        window=made.window,
        problem=made.problem,
        plan=greedy(made.problem),
        baseline=baselines.run_now(made.problem),
        marks=("a sentence",),
        created_at=START,
    )


def test_json_and_record_give_back_an_equal_document() -> None:
    """Also through the text a database keeps."""
    written = document()
    assert PlanDocument.from_json(written.to_json()) == written
    assert PlanDocument.from_record(json.loads(json.dumps(written.to_record()))) == written


@settings(max_examples=20, deadline=None)
@given(price=st.floats(-500, 500))
def test_every_digit_of_a_number_is_kept(price: float) -> None:
    """What was verified is what is read."""
    written = document(price)
    read = PlanDocument.from_json(written.to_json())
    assert read.problem.sites[0].grid.import_price_eur_per_mwh[0] == price
    assert read.plan == written.plan


def test_a_changed_document_is_checked_as_it_is_read() -> None:
    """A negative length of work names the job, the value and the limit."""
    record = document().to_record()
    record["problem"]["jobs"][0]["work"] = -1.0
    with pytest.raises(ValidationError, match=r"job a: work = -1\.0, must be > 0"):
        PlanDocument.from_record(record)
    with pytest.raises(ValidationError, match="surprise"):
        PlanDocument.from_record(document().to_record() | {"surprise": 1})


def test_the_one_peak_of_an_older_document_is_that_of_its_first_month() -> None:
    """As written before a site could have several: nothing is lost, and none is still none."""
    record = document().to_record()
    for site in record["problem"]["sites"]:
        (site["peak"],) = site.pop("peaks") or [None]
        if site["peak"] is not None:
            del site["peak"]["name"], site["peak"]["floor_kw"]
    assert PlanDocument.from_record(record) == document()
    assert PlanDocument.from_json(json.dumps(record)) == document()
