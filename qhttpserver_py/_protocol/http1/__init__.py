"""HTTP/1.0 and HTTP/1.1 (RFC 9112). Pure.

``receiver`` takes octets apart, ``head``, ``fields`` and ``chunked`` know the grammar, ``response`` renders heads, and
``engine`` keeps replies in the order of their requests.
"""
