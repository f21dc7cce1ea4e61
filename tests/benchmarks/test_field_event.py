"""The field event from generated files: what is drawn before it, and that its ceiling holds."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks.field_event.instance import BATTERY, BEGIN, Call, Published, read_published
from benchmarks.field_event.outcome import planned
from benchmarks.field_event.report import Case, markdown

CALL = Call(0.75, 0.5)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Three workloads that draw 40 kW, and half as much at half the cap."""
    folder = tmp_path_factory.mktemp("data") / "demand_response"
    folder.mkdir()
    sweep = [
        {
            "Workload": name,
            "GPU power cap": cap_w,
            "power per GPU": cap_w - 25,
            "normalized throughput": speed,
        }
        for name in ("ft_llama_8b_dolly", "infer_llama_8b", "pt_mpt_7b_fast")
        for cap_w, speed in ((200, 0.8), (300, 0.95), (400, 1.0))
    ]
    pd.DataFrame(sweep).to_csv(folder / "power_cap_sweep.csv", index=False)
    (folder / "srp_performance.csv").write_text(
        "Model,Performance,Flexibility\n"
        "infer_llama_8b_48g-x ,1,Flex 1\n"
        "pt_mpt_13b_sm-y,0.7,Flex 3\n"
        "infer_llama_8b_32g-z,0.9,Flex 2\n"
        "Weighted Performance,0.9,\n"
    )
    minutes = pd.date_range(BEGIN - pd.Timedelta(hours=1), periods=240, freq="min")
    power = pd.DataFrame({"timestamp": minutes.tz_convert("America/Phoenix"), "total": 39_000.0})
    power.to_csv(folder / "srp_total_power.csv", index=False)
    return read_published(folder.parent)


def test_what_was_published_is_read(published: Published) -> None:
    """Names without the blanks around them, tiers as floors, power in kW."""
    assert [(one.name, one.gpus, one.floor) for one in published.workloads] == [
        ("infer_llama_8b_48g-x", 48, 0.9),
        ("pt_mpt_13b_sm-y", 24, 0.5),
        ("infer_llama_8b_32g-z", 32, 0.75),
    ]
    assert published.before_kw == 39.0


def test_the_ceiling_holds_and_so_do_the_floors(published: Published) -> None:
    """By caps alone; with a battery nobody is slowed down."""
    by_caps = planned(published, CALL, None, 20.0)
    assert (by_caps.breaches, by_caps.n_violations) == ((), 0)
    assert by_caps.highest_kw <= by_caps.limit_kw + 1e-6
    floors = {one.name: one.floor for one in published.workloads}
    assert all(share >= floors[name] for name, share in by_caps.performance.items())
    assert by_caps.weighted <= by_caps.possible < 1.0
    with_battery = planned(published, CALL, BATTERY, 20.0)
    assert (with_battery.weighted, with_battery.possible) == pytest.approx((1.0, 1.0))
    assert with_battery.highest_kw <= with_battery.limit_kw + 1e-6
    told = markdown(published, [Case("caps", False, by_caps), Case("both", True, with_battery)])
    assert f"| caps | 29.25 | {by_caps.highest_kw:.2f} | {by_caps.weighted:.4f} |" in told
