"""What clusters share that keep a folder for each job: its name, and work with its files."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar
from urllib.parse import quote

from connectors.errors import Rejected, Unavailable

T = TypeVar("T")
P = ParamSpec("P")

_LONGEST_NAME = 200


def folder_name(key: str) -> str:
    """Return the name of the folder of the job ``key``; ``Rejected`` where it makes none."""
    name = quote(key, safe="")
    if not 0 < len(name) <= _LONGEST_NAME:
        raise Rejected(
            f"job key {key!r}: {len(name)} characters as a folder's name,"
            f" must be 1 to {_LONGEST_NAME}"
        )
    return f"job-{name}"


class Named(Protocol):
    """What has a name."""

    name: str


C = TypeVar("C", bound=Named)


def on_files(
    method: Callable[Concatenate[C, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[C, P], Coroutine[Any, Any, T]]:
    """Have a method of a cluster raise ``Unavailable`` where its files cannot be had."""

    @functools.wraps(method)
    async def told(cluster: C, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(cluster, *args, **kwargs)
        except OSError as error:
            raise Unavailable(f"cluster {cluster.name}: {error}") from error

    return told


async def in_thread(cluster: str, action: Callable[[], T]) -> T:
    """Do what reads and writes files; ``Unavailable`` where they cannot be had."""
    try:
        return await asyncio.to_thread(action)
    except OSError as error:
        raise Unavailable(f"cluster {cluster}: {error}") from error
