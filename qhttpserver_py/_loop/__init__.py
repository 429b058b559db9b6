"""asyncio on Qt's event loop, awaitables, threads, and the mailbox between them.

May know QtCore and the future of Qt's API; knows no request. A coroutine enters at ``eventloop.start`` and its outcome
leaves through ``awaitables.watch``.
"""
