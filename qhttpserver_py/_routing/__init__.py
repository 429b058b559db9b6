"""Which handler serves a request, and with which arguments.

``pattern`` and ``matcher`` make expressions of path patterns, ``table`` finds the rule, ``converters`` turn text into
values,
and ``binding`` calls the handler with what its signature asks for. May know requests; knows no socket and no reply. A
message enters at ``table.lookup`` and leaves as a rule with its captures.
"""
