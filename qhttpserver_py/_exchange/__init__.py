"""One request and its reply, where the reply comes later or in pieces.

May know sources and Qt's devices; what it needs of the connection is the Protocol in ``channel.py``. A request enters
when the connection opens an exchange for it, and leaves when its reply is complete, or its peer is gone.
"""
