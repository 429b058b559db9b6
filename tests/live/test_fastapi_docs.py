"""FastAPI's /docs in Chromium, below a prefix, with a stub of its scripts: there is no network."""

from __future__ import annotations

import pytest

from qhttpserver_py import QHttpServer, asgi

from ..support.rawclient import bound
from ..support.threads import in_thread
from .chromium import Browser, missing, until

fastapi = pytest.importorskip("fastapi")

from fastapi.openapi.docs import get_swagger_ui_html  # noqa: E402 - behind the question whether it is there
from fastapi.responses import HTMLResponse  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("qapp", "own_loop"),
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(missing()), reason=missing() or "present"),
]

# As Swagger UI does: fetch the description, show the paths, and try one.
STUB = """
function SwaggerUIBundle(options) {
  fetch(options.url).then(r => r.json()).then(async api => {
    const base = api.servers ? api.servers[0].url : "";
    const paths = Object.keys(api.paths);
    const tried = await (await fetch(base + paths[0].replace("{number}", "7"))).text();
    document.title = api.info.title + " " + paths.join(" ") + " " + tried;
  });
}
SwaggerUIBundle.presets = {apis: 1}; SwaggerUIBundle.SwaggerUIStandalonePreset = 1;
"""


def test_docs(server: QHttpServer) -> None:
    app = fastapi.FastAPI(title="Window", docs_url=None)

    @app.get("/items/{number}")
    async def item(number: int) -> int:
        return number

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/api/openapi.json", title="x", swagger_js_url="/stub.js", swagger_css_url="/stub.css"
        )

    asgi.mount(server, "/api", app)
    server.route("/stub.js", lambda: (STUB, 200, {"content-type": "text/javascript"}))
    server.route("/stub.css", lambda: ("", 200, {"content-type": "text/css"}))
    server.route("/favicon.ico", lambda: 204)
    port = bound(server)

    def browse() -> str:
        with Browser() as browser:
            browser.open(f"http://127.0.0.1:{port}/api/docs")
            until("the description", lambda: browser.title().startswith("Window"))
            return browser.title()

    assert in_thread(browse, timeout=90) == "Window /items/{number} 7"
