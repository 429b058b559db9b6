"""The work on uvicorn with httptools and uvloop, access log off."""

from __future__ import annotations

import bench_content as content
import uvicorn
from asgi_work import application

options = content.arguments()
listener = content.listening_socket()
tls = {"ssl_certfile": options.certificate, "ssl_keyfile": options.key} if options.kind not in content.PLAIN else {}
config = uvicorn.Config(
    application,
    loop="uvloop",
    http="httptools",
    ws="websockets" if options.kind.startswith("ws") else "none",
    lifespan="off",
    timeout_keep_alive=75,  # a crowd of silent connections has to stay for the time of a measurement
    access_log=False,
    log_level="warning",
    **tls,
)
content.announce(listener.getsockname()[1])
uvicorn.Server(config).run(sockets=[listener])
