"""A backend of tests that an OpenAPI document describes: ``FakeBackend.from_openapi()``. Not in Qt.

``document`` reads it, ``samples`` makes values of its schemas, ``replies`` chooses what answers, ``checks`` compares
requests with it by the package openapi-core, and ``api`` puts these together.
"""

from qhttpserver_py.testing.openapi.api import OpenApi, Operation

__all__ = ["OpenApi", "Operation"]
