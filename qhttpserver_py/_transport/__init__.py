"""Sockets, connections, listeners and deadlines.

It may import all folders below, and knows the server only by ``interfaces.py``. Octets enter at
``Connection.on_ready_read``
and leave as messages to the server; replies enter as octets of the engine and leave by the writer.
"""
