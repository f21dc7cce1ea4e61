"""The part of a kubelet that the API server asks for a container's log: HTTPS, chunked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

LogOf = Callable[[str, str, str, bool], AsyncIterator[bytes] | None]


async def serve(port: int, certificate: Path, key: Path, log_of: LogOf) -> asyncio.Server:
    """Serve ``/containerLogs/NAMESPACE/POD/CONTAINER`` on loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer(reader, writer, log_of)
        except ConnectionError:
            return  # who asked has left
        finally:
            writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", port, ssl=context)


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log_of: LogOf
) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    url = urlsplit(head.split(" ", 2)[1])
    wanted = parse_qs(url.query)
    _, room, *names = url.path.split("/")
    follow = wanted.get("follow") == ["true"]
    lines = log_of(*names, follow) if room == "containerLogs" and len(names) == 3 else None
    if lines is None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        return
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    async for part in lines:
        writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
