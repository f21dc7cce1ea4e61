"""Where the small MILPs of a search are solved: here, in processes beside, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from optimizer import SideBySide

CONNECT_S = 10.0


class NoCluster(Exception):
    """The Dask cluster cannot be used: it does not answer, or what speaks to it is missing."""


@dataclass(frozen=True, slots=True)
class SearchPlace:
    """How many processes search, or the address of the Dask scheduler that has workers do it."""

    workers: int = 1
    dask_scheduler: str | None = None


HERE = SearchPlace()


@contextmanager
def side_by_side(place: SearchPlace) -> Iterator[SideBySide]:
    """Offer what solves small MILPs at ``place``.

    Raises
    ------
    NoCluster
        See there.
    """
    if place.dask_scheduler is not None:
        with _dask(place.dask_scheduler) as on_cluster:
            yield on_cluster
    elif place.workers > 1:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(place.workers, context, initializer=begin_worker) as pool:
            yield pool.map
            pool.shutdown(cancel_futures=True)
    else:
        yield map


def begin_worker() -> None:
    """Have a process leave interrupts to its parent, and end when that does."""
    # Ctrl-C goes to the whole terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _dask(address: str) -> Iterator[SideBySide]:
    try:
        from distributed import Client  # noqa: PLC0415 - an extra: only who asks for it has it
    except ImportError as error:
        raise NoCluster(
            f"searching on the Dask cluster {address} needs: pip install 'gridtide[distributed]'"
        ) from error
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except OSError as error:
        raise NoCluster(f"the Dask scheduler {address} does not answer: {error}") from error
    with client:

        def on_cluster(function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
            futures = client.map(function, items, pure=False)
            return (future.result() for future in futures)

        yield on_cluster
