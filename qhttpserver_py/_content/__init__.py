"""Content: JSON, media types, statuses, cookies, files and their validators, and a request's body as it arrives.

It may import Qt's value classes and ``_protocol``, and knows no socket and no handler. A result enters as a Python
object and leaves as header fields and octets; a request's body enters from the exchange in pieces and leaves to its
consumer.
"""
