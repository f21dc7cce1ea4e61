"""What every ``MessageSource`` must do.

``broker`` passes on what is published with it. ``connect(most_held)`` makes a source of the one
name, any number of times one after the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import pytest
import pytest_asyncio

from connectors.errors import ConnectorError
from connectors.protocols import MessageSource
from connectors.types import StreamMessage

WITHIN_S = 30.0
QUIET_S = 0.5  # in which what is let through would have come
LAST = b"last"

Connect = Callable[[int], MessageSource]


class Publishing(Protocol):
    """The other side of a source."""

    def publish(self, bodies: Sequence[bytes]) -> None:
        """Publish these; on return the broker has them."""


def numbered(first: int, last: int) -> list[bytes]:
    """Bodies that are told apart."""
    return [b"message %d" % number for number in range(first, last)]


async def receive(source: MessageSource, n: int) -> list[StreamMessage]:
    """Receive until so many are there, whatever is lost on the way."""
    messages: list[StreamMessage] = []
    give_up_at = time.monotonic() + WITHIN_S
    while len(messages) < n:
        left = give_up_at - time.monotonic()
        assert left > 0, f"{len(messages)} of {n} messages came"
        try:
            messages += await asyncio.wait_for(source.receive(), left)
        except (ConnectorError, TimeoutError):
            await asyncio.sleep(0.1)
    return messages


def bodies(messages: Sequence[StreamMessage]) -> list[bytes]:
    """What they say."""
    return [one.body for one in messages]


async def receive_rest(source: MessageSource, broker: Publishing) -> list[StreamMessage]:
    """Receive whatever is there: all that comes before one more that is published now."""
    await asyncio.to_thread(broker.publish, [LAST])
    messages: list[StreamMessage] = []
    while LAST not in bodies(messages):
        messages += await receive(source, 1)
    return [one for one in messages if one.body != LAST]


class MessageSourceContract:
    """The contract."""

    @pytest_asyncio.fixture
    async def source(self, connect: Connect, broker: Publishing) -> AsyncIterator[MessageSource]:
        """One that the broker knows, and has nothing more for."""
        made = connect(1000)
        waiting = asyncio.create_task(receive(made, 1))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(broker.publish, [b"first"])
        await made.acknowledge(await waiting)
        yield made
        await made.close()

    async def test_what_is_published_comes_in_order(
        self, source: MessageSource, broker: Publishing
    ) -> None:
        """Each of them whole, with where it came from."""
        sent = [*numbered(0, 50), b"", bytes(range(256))]
        await asyncio.to_thread(broker.publish, sent)
        messages = await receive(source, len(sent))
        assert bodies(messages) == sent
        assert all(one.subject and one.ticket for one in messages)
        assert source.is_connected

    async def test_what_is_not_acknowledged_comes_again(
        self, source: MessageSource, broker: Publishing, connect: Connect
    ) -> None:
        """To the next one; what is acknowledged does not, up to the first that is not at least."""
        await asyncio.to_thread(broker.publish, numbered(0, 10))
        messages = await receive(source, 10)
        await source.acknowledge(messages[:4])
        await source.acknowledge(messages[5:7])
        await source.close()
        again = connect(1000)
        came = set(bodies(await receive_rest(again, broker)))
        await again.close()
        assert came >= {b"message 4", *numbered(7, 10)}
        assert not came & set(numbered(0, 4))

    async def test_it_resumes_where_it_was(
        self, source: MessageSource, broker: Publishing, connect: Connect
    ) -> None:
        """What is published while nobody is there is kept, and comes once."""
        await source.close()
        await asyncio.to_thread(broker.publish, numbered(0, 20))
        again = connect(1000)
        messages = await receive(again, 20)
        assert bodies(messages) == numbered(0, 20)
        await again.acknowledge(messages)
        await again.close()
        third = connect(1000)
        assert await receive_rest(third, broker) == []
        await third.close()

    async def test_it_holds_no_more_than_it_may(
        self, source: MessageSource, broker: Publishing, connect: Connect
    ) -> None:
        """What is beyond waits with the broker, and comes once there is room."""
        await source.close()
        narrow = connect(10)
        await asyncio.to_thread(broker.publish, numbered(0, 35))
        everything: list[StreamMessage] = []
        while len(everything) < 35:
            held = await receive(narrow, min(10, 35 - len(everything)))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(narrow.receive(), QUIET_S)
            assert len(held) <= 10
            everything += held
            await narrow.acknowledge(held)
        await narrow.close()
        assert bodies(everything) == numbered(0, 35)

    async def test_acknowledging_twice_or_late_does_no_harm(
        self, source: MessageSource, broker: Publishing, connect: Connect
    ) -> None:
        """A ticket of a connection before is of no message of this one."""
        await asyncio.to_thread(broker.publish, numbered(0, 5))
        old = await receive(source, 5)
        await source.close()
        again = connect(1000)
        new = await receive(again, 5)
        await again.acknowledge(old)
        await again.acknowledge(new[:2])
        await again.acknowledge(new[:2])
        await again.close()
        third = connect(1000)
        assert bodies(await receive_rest(third, broker)) == numbered(2, 5)
        await third.close()
