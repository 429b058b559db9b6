"""What a body is: its JSON, its media type, its status, its cookies, and a request's body as it arrives.

May know Qt's values and ``_protocol``; knows no socket and no handler. A result enters as a Python object and leaves as
header fields and octets; a request's body enters from the exchange in pieces and leaves to whoever takes it.
"""
