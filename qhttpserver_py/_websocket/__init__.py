"""WebSockets without Qt's module for them.

``protocol.py`` speaks RFC 6455 and 7692 by the package ``websockets``, without I/O; ``socket.py`` is the QObject around
it that has QWebSocket's names. This folder knows sockets and requests, and no server: a connection that is upgraded
enters as a Qt socket with its request, and leaves when that socket is closed.
"""
