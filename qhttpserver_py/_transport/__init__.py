"""A peer as Qt sees it: sockets, connections, listeners, deadlines.

May know everything below, and the server only through ``interfaces.py``. Octets enter at ``Connection.on_ready_read``
and leave as messages to the server; replies enter as octets of the engine and leave by the writer.
"""
