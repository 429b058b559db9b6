"""HTTP/2 (RFC 9113) and HPACK (RFC 7541). Pure.

``frames`` cuts input, ``control`` and ``receiver`` act on frames, ``heads`` and the two HPACK modules know fields,
``outbox`` keeps what flow control holds back, ``budget`` bounds what a peer may ask for, and ``engine`` puts them
together.
"""
