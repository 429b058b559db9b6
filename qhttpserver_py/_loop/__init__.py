"""asyncio on Qt's event loop, awaitables, threads, and the mailbox between them.

May import QtCore and the future class of Qt's API; knows no request. A coroutine enters at ``eventloop.start``, and its
outcome leaves by ``awaitables.watch``.
"""
