"""Sends the requests of the process to a fake backend.

``proxy.py`` is the proxy in the test's event loop, ``origins.py`` what it is asked to take, ``settings.py`` what of the
process is changed meanwhile, ``environment.py`` the same for Python's clients and child processes. ``interception.py``
joins them for one backend. ``block.py`` refuses what nobody intercepts, ``callers.py`` knows the line that asked.
Nothing here knows expectations.
"""
