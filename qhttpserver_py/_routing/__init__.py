"""Which handler serves a request, and with which arguments."""
