"""asyncio on Qt's event loop, awaitables, threads, and the mailbox between them."""
