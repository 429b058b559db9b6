"""The official MCP SDK in a window: an assistant's tools that read and set widgets.

    python docs/examples/mcp_sdk.py [PORT]

Needs mcp. Tools that are ``async def`` run in the thread of the widgets; see mcp_server.py for the protocol by hand.
"""

import signal
import sys

from mcp.server import MCPServer
from PySide6.QtNetwork import QHostAddress, QTcpServer
from PySide6.QtWidgets import QApplication, QPlainTextEdit

from qhttpserver_py import QHttpServer, asgi
from qhttpserver_py.security import protect_localhost


def make_mcp(editor: QPlainTextEdit) -> MCPServer:
    mcp = MCPServer("editor", log_level="WARNING")

    @mcp.tool()
    async def read_text() -> str:
        """Return the text of the editor."""
        return editor.toPlainText()

    @mcp.tool()
    async def append_text(line: str) -> int:
        """Append a line to the editor, and return how many there are."""
        editor.appendPlainText(line)
        return editor.blockCount()

    return mcp


def make_server(editor: QPlainTextEdit) -> QHttpServer:
    server = QHttpServer(editor)
    protect_localhost(server)  # the specification asks servers to check Origin
    asgi.mount(server, "/", make_mcp(editor).streamable_http_app())
    return server


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    app = QApplication(sys.argv[:1])
    editor = QPlainTextEdit("What an assistant may read")
    server = make_server(editor)
    tcp = QTcpServer()
    if not tcp.listen(QHostAddress.SpecialAddress.LocalHost, int(sys.argv[1]) if len(sys.argv) > 1 else 0):
        raise SystemExit(tcp.errorString())
    server.bind(tcp)
    editor.show()
    print(f"Listening on http://127.0.0.1:{tcp.serverPort()}/mcp", flush=True)
    sys.exit(app.exec())


if __name__ == "__main__":
    main()
