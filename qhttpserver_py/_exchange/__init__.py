"""One request and its reply, where the reply comes later or in pieces."""
