"""Coroutines that tests run, and how: as a slot would."""

from __future__ import annotations

import asyncio

from qhttpserver_py import aio

from .rawclient import wait_until


def run(coroutine, timeout=5.0):
    """Start *coroutine* as a slot would; return its result."""
    task = aio.start(coroutine)
    task.add_done_callback(lambda _: None)  # somebody waits
    wait_until(task.done, timeout)
    return task.result()


async def sleeps_until_cancelled(ended):
    """Put True into the list *ended* when it ends."""
    try:
        await asyncio.sleep(60)
    finally:
        ended.append(True)


async def sleeps():
    await asyncio.sleep(0)
    return await asyncio.sleep(0.01, "slept")


async def _echo(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
    writer.close()


async def uses_streams():
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"one\ntwo\n")
    lines = [await reader.readline(), await reader.readline()]
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return lines
