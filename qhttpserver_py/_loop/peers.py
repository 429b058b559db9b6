"""Exceptions that say what a peer did: who does not wait for them need not hear of them."""

from __future__ import annotations


class PeerError(ConnectionError):
    """The peer left, or broke a rule. No fault of the program's, so never reported as one."""


def is_peers_fault(error: BaseException) -> bool:
    """Return whether *error*, or each that it groups, says what a peer did."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_peers_fault(one) for one in error.exceptions)
    return isinstance(error, PeerError)
