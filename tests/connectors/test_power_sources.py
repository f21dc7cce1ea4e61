"""What exporters and Prometheus servers say besides the power of every GPU."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from connectors.clusters.measured import GpusThere, read_power
from connectors.errors import ConnectorError, ContractBroken, Rejected, Unavailable
from connectors.power.exporters import ExportersPower
from connectors.power.prometheus import PrometheusPower
from connectors.power.samples import gpu_name
from connectors.types import MeasuredPower, PowerScope
from tests.contracts.power_source import Says
from tests.peers.exporter import Exporter, served
from tests.peers.processes import wait_until
from tests.peers.prometheus import Scraping


@pytest.fixture
def node() -> Iterator[Exporter]:
    """The exporter of a node with two GPUs."""
    with served(Exporter("n1", {0: 300.0, 1: 310.0})) as exporter:
        yield exporter


async def test_a_gpu_that_pods_share_counts_once(node: Exporter) -> None:
    """The exporter prints it for each of them, with its whole power."""
    node.pods[0] = ("a", "b")
    found = await ExportersPower([node.url]).read()
    assert (found.gpus, found.kw) == (2, pytest.approx(0.61))


async def test_an_exporter_that_is_away_is_named(node: Exporter) -> None:
    """With its address; what the others say is not thrown away."""
    gone = "http://127.0.0.1:9/metrics"
    found = await ExportersPower([node.url, gone]).read()
    assert found.gpus == 2
    (silent,) = found.silent
    assert gone in silent


async def test_an_exporter_that_cannot_be_understood_is_named(node: Exporter) -> None:
    """Its page is not packed as it says, or its address is none; the others are heard."""
    no_address = "http://[::1/metrics"
    with served(Exporter("n2", {0: 80.0}, packed_as="gzip")) as garbled:
        found = await ExportersPower([node.url, garbled.url, no_address]).read()
    assert (found.gpus, found.kw) == (2, pytest.approx(0.61))
    errors = zip((garbled.url, no_address), ("DecodingError", "InvalidURL"), strict=True)
    assert all(
        one.startswith(f"{url}: {error}: ")
        for one, (url, error) in zip(found.silent, errors, strict=True)
    )


async def test_an_exporter_without_the_metric_is_silent(node: Exporter) -> None:
    """It answers, and still says nothing of power."""
    with pytest.raises(Unavailable, match="prints no nvidia_smi_power_draw_watts"):
        await ExportersPower([node.url], "nvidia_smi_power_draw_watts").read()


@pytest.mark.parametrize("ahead_s", [600.0, -600.0])
async def test_how_old_a_value_is_says_the_clock_of_its_exporter(
    node: Exporter, ahead_s: float
) -> None:
    """It dates its page, and both are ten minutes from ours: what is new there is new."""
    node.clock_ahead_s = ahead_s
    for age_s, is_new in ((0.0, True), (300.0, False)):
        at = f"{(time.time() + ahead_s - age_s) * 1000:.0f}"
        page = f'DCGM_FI_DEV_POWER_USAGE{{gpu="0",UUID="GPU-1"}} 300 {at}\n'
        node.page = lambda page=page: page  # type: ignore[method-assign, misc]
        if is_new:
            assert (await ExportersPower([node.url]).read()).gpus == 1
            continue
        with pytest.raises(Unavailable, match="that is new"):
            await ExportersPower([node.url]).read()


async def test_prometheus_is_asked_at_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes ahead of ours, it would know nothing of now, or tell what was."""
    there = time.time() + 600
    asked: list[dict[str, str]] = []

    async def get(_client: httpx.AsyncClient, url: str, params: dict[str, str]) -> httpx.Response:
        asked.append(params)
        value = "300" if len(asked) == 1 else f"{there - 5}"
        one = {"metric": {"UUID": "GPU-1"}, "value": [there, value]}
        answer = {"status": "success", "data": {"resultType": "vector", "result": [one]}}
        return httpx.Response(200, json=answer, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx.AsyncClient, "get", get)
    assert (await PrometheusPower("http://prometheus").read()).kw == pytest.approx(0.3)
    first, second = asked
    assert "time" not in first
    assert float(second["time"]) == pytest.approx(there, abs=0.01)


async def test_a_value_that_says_it_is_old_is_none(node: Exporter) -> None:
    """Lines may carry a time [ms]; a page pushed an hour ago is no answer."""
    old = f"{(time.time() - 3600) * 1000:.0f}"
    node.page = lambda: f'DCGM_FI_DEV_POWER_USAGE{{gpu="0",UUID="GPU-1"}} 300 {old}\n'  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="that is new"):
        await ExportersPower([node.url]).read()
    assert (await ExportersPower([node.url], stale_after_s=7200).read()).kw == pytest.approx(0.3)


@pytest.mark.parametrize("value", ["-1", "NaN", "+Inf"])
async def test_what_is_no_power_is_silent(node: Exporter, value: str) -> None:
    """A counter that overflowed or a blank that was printed."""
    node.page = lambda: f'DCGM_FI_DEV_POWER_USAGE{{gpu="0",UUID="GPU-1"}} {value}\n'  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match=r"GPU-1: .* must be >= 0 and finite"):
        await ExportersPower([node.url]).read()


def test_a_gpu_is_named_by_what_there_is() -> None:
    """Its UUID; else its host and number; a sum is of no GPU."""
    assert gpu_name({"uuid": "GPU-1", "gpu": "0"}, "e") == "GPU-1"
    assert gpu_name({"Hostname": "n1", "gpu": "0"}, "e") == "n1/0"
    assert gpu_name({"gpu": "0"}, "http://n1:9400/metrics") == "http://n1:9400/metrics/0"
    with pytest.raises(ContractBroken, match="a label that names the GPU"):
        gpu_name({"Hostname": "n1"}, "e")


async def test_prometheus_drops_a_node_whose_exporter_has_gone(scraping: Scraping) -> None:
    """Its last value is still known there, and is not power now."""
    scraping.exporters["n2"].is_silent = True
    wait_until(lambda: scraping.number("sum(up)") == 1, "the scrape of n2 has failed")
    found = await PrometheusPower(scraping.url).read()
    assert (found.gpus, found.kw) == (2, pytest.approx(0.61))


async def test_prometheus_is_asked_for_a_part_by_labels(scraping: Scraping) -> None:
    """One server knows several sites."""
    query = 'DCGM_FI_DEV_POWER_USAGE{Hostname="n2"}'
    assert (await PrometheusPower(scraping.url, query).read()).kw == pytest.approx(0.08)


async def test_a_value_that_prometheus_scraped_long_ago_is_silent(scraping: Scraping) -> None:
    """An instant query gives it the time of the query; its own time is asked for."""
    wait_until(lambda: scraping.number("sum(up)") == 2, "both are scraped")
    found = await PrometheusPower(scraping.url, stale_after_s=1e-6).read()
    assert found.gpus == 0
    assert found.silent == ("GPU GPU-n1-0", "GPU GPU-n1-1", "GPU GPU-n2-0")


@pytest.mark.parametrize(
    ("query", "error", "named"),
    [
        ("DCGM_FI_DEV_POWER_USAGE{", Rejected, "parse error"),
        ("sum(DCGM_FI_DEV_POWER_USAGE)", ContractBroken, "a label that names the GPU"),
        ("1", ContractBroken, "must be 'vector'"),
        ("no_such_metric", Unavailable, "nothing is known of any GPU"),
    ],
)
async def test_a_query_that_is_no_selector_of_gpus_is_refused(
    scraping: Scraping, query: str, error: type[ConnectorError], named: str
) -> None:
    """By the server, or because nobody could tell which GPUs are missing."""
    with pytest.raises(error, match=named):
        await PrometheusPower(scraping.url, query).read()


def answering(monkeypatch: pytest.MonkeyPatch, reply: httpx.Response) -> None:
    """Let every request be answered so."""

    async def get(_client: httpx.AsyncClient, _url: str, **_query: str) -> httpx.Response:
        reply.request = httpx.Request("GET", "http://prometheus")
        return reply

    monkeypatch.setattr(httpx.AsyncClient, "get", get)


async def test_a_partial_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that ask several others warn where one is away, and succeed all the same."""
    part = {"metric": {"UUID": "GPU-1"}, "value": [time.time(), "300"]}
    answer = {
        "status": "success",
        "warnings": ["store 2 is away"],
        "data": {"resultType": "vector", "result": [part]},
    }
    answering(monkeypatch, httpx.Response(200, text=json.dumps(answer)))
    with pytest.raises(Unavailable, match="store 2 is away"):
        await PrometheusPower("http://prometheus").read()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.Response(503, text="no"), Unavailable),
        (httpx.Response(401, text="no"), Rejected),
        (httpx.Response(200, text="<html>"), ContractBroken),
        (httpx.Response(200, text='{"status":"success","data":{}}'), ContractBroken),
    ],
)
async def test_an_answer_that_is_none_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, reply: httpx.Response, error: type[ConnectorError]
) -> None:
    """Try again, call a person, or do not use it."""
    answering(monkeypatch, reply)
    with pytest.raises(error, match="http://prometheus/api/v1/query"):
        await PrometheusPower("http://prometheus/").read()


async def test_the_token_is_read_anew_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever renews it writes it there; without it nothing is asked."""
    seen: list[str | None] = []

    async def get(client: httpx.AsyncClient, url: str, **_query: str) -> httpx.Response:
        seen.append(client.headers.get("Authorization"))
        raise Unavailable(url)

    monkeypatch.setattr("connectors.power.prometheus.get", get)
    token = tmp_path / "token"
    source = PrometheusPower("http://prometheus", token_file=token)
    with pytest.raises(Unavailable, match="no token"):
        await source.read()
    for text in ("one\n", "two\n"):
        token.write_text(text)
        with pytest.raises(Unavailable):
            await source.read()
    assert seen == ["Bearer one", "Bearer two"]


async def test_a_measured_reading_says_by_whom_and_of_what() -> None:
    """GPUs on nodes that are drained may be in it or not."""
    for gpus in (6, 8):
        reading = await read_power(Says(MeasuredPower(4.0, gpus)), GpusThere(6, 8), 5.0)
        assert (reading.kw, reading.is_measured, reading.reason) == (4.0, True, "")
        assert (reading.source, reading.scope) == ("meter", PowerScope.NODES)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (MeasuredPower(4.0, 5), "meter: 5 GPUs reported, must be at least the 6"),
        (MeasuredPower(4.0, 9), "meter: 9 GPUs reported, must be at most the 8"),
        (MeasuredPower(4.0, 8, ("node n2: no",)), "meter: silent: node n2: no"),
        (MeasuredPower(4.0, 8, tuple("abcdefg")), "meter: silent: a; b; c; d; e and 2 more"),
        (Unavailable("away"), "meter: away"),
        (Rejected("who are you"), "meter: who are you"),
    ],
)
async def test_what_is_not_all_of_it_is_not_used(
    said: MeasuredPower | ConnectorError, reason: str
) -> None:
    """The model stands in for all of it, and says why."""
    reading = await read_power(Says(said), GpusThere(6, 8), 5.0)
    assert (reading.kw, reading.is_measured, reading.source) == (5.0, False, "")
    assert reading.reason.startswith(reason)


async def test_without_a_gpu_reported_nothing_is_measured() -> None:
    """Not even where all of them may be off."""
    reading = await read_power(Says(MeasuredPower(0.0, 0)), GpusThere(0, 8), 0.8)
    assert (reading.kw, reading.reason) == (0.8, "meter: no GPU is reported")


async def test_a_source_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time."""
    monkeypatch.setattr("connectors.clusters.measured._ANSWER_S", 0.05)
    reading = await read_power(Says(None), GpusThere(6, 8), 5.0)
    assert (reading.kw, reading.reason) == (5.0, "meter: no answer within 0.05 s")
    assert (await read_power(None, GpusThere(6, 8), 5.0)).reason == "nobody measures it"
