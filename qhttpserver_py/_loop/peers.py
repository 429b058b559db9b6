"""Exceptions caused by a peer: they are not reported where they are not awaited."""

from __future__ import annotations


class PeerError(ConnectionError):
    """The peer left, or broke a rule. It is not reported as an error of the program."""


def is_peers_fault(error: BaseException) -> bool:
    """Return whether *error*, or each exception of a group, was caused by a peer."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_peers_fault(one) for one in error.exceptions)
    return isinstance(error, PeerError)
