"""Clients in threads, that wait for what comes late or in pieces, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import gc
import ssl
import threading
from concurrent.futures import Future

import httpx
import pytest
from PySide6.QtCore import QByteArray
from PySide6.QtNetwork import QHostAddress, QSslServer, QTcpServer

from qhttpserver_py import QHttpServer, aio

from .rawclient import wait_until

SECONDS = 20


class Served:
    """A server, and clients that run in threads while this thread serves."""

    def __init__(self, authority):
        self.server = QHttpServer()
        self.http2 = authority is not None
        if authority is None:
            listener = QTcpServer()
        else:
            listener = QSslServer()
            configuration = authority.server_configuration()
            configuration.setAllowedNextProtocols([QByteArray(b"h2")])  # httpx names it last
            listener.setSslConfiguration(configuration)
        assert listener.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
        assert self.server.bind(listener)
        scheme = "http" if authority is None else "https"
        self.url = f"{scheme}://127.0.0.1:{listener.serverPort()}"
        self.context = ssl.create_default_context()
        if authority is not None:
            self.context.load_verify_locations(cadata=authority.ca_pem.decode())

    def client(self):
        return httpx.Client(
            base_url=self.url,
            verify=self.context,
            http2=self.http2,
            http1=not self.http2,
            trust_env=False,
            timeout=SECONDS,
        )

    def run(self, work):
        """Call *work(client)* in a thread; return its result or raise what it raised."""
        future = Future()

        def body():
            try:
                with self.client() as client:
                    future.set_result(work(client))
            except BaseException as error:  # noqa: BLE001 - handed to the test
                future.set_exception(error)

        thread = threading.Thread(target=body)
        thread.start()
        wait_until(future.done, SECONDS + 5)
        thread.join()
        return future.result()

    def get(self, path="/"):
        return self.run(lambda client: client.get(path))

    def leave(self, path="/"):
        """Ask, read the head and the first bytes, and leave."""

        def work(client):
            with client.stream("GET", path) as reply:
                next(reply.iter_raw())

        self.run(work)


def fixture(*protocols):
    """Return the fixture *served*: a Served that speaks one of *protocols*, gone in the end."""

    @pytest.fixture(params=protocols)
    def served(request, qapp, authority):
        made = Served(authority if request.param == "HTTP/2" else None)
        yield made
        made.server.close()
        made.server.deleteLater()
        aio.close()
        gc.collect()

    return served
