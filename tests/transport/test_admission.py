"""Lists, connection counts and the rate limit, with a clock that is passed in."""

from __future__ import annotations

import pytest

from qhttpserver_py._transport.admission import Admission, host_key, subnets


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::FFFF:10.1.2.3", "10.1.2.3"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:1", "::ffff:1"),
    ],
)
def test_an_address_has_one_key(address: str, key: str) -> None:
    assert host_key(address) == key


@pytest.mark.parametrize(
    ("white", "black", "host", "denied"),
    [
        ([], [], "10.0.0.1", False),
        ([("10.0.0.0", 8)], [], "10.1.2.3", False),
        ([("10.0.0.0", 8)], [], "11.1.2.3", True),
        ([], [("10.0.0.0", 8)], "10.1.2.3", True),
        ([], [("10.0.0.0", 8)], "11.1.2.3", False),
        ([("10.0.0.0", 8)], [("10.0.0.0", 8)], "10.1.2.3", False),  # the whitelist wins
        ([], [("0.0.0.0", 0)], "1.2.3.4", True),
        ([], [("0.0.0.0", 0)], "::1", False),
        ([], [("127.0.0.1", -1)], "127.0.0.1", False),  # a negative prefix matches nothing
        ([("127.0.0.1", -1)], [], "127.0.0.1", True),  # and a whitelist of nothing lets nobody in
        ([], [("::ffff:10.0.0.0", 104)], "10.9.9.9", True),
        ([], [("::1", 128)], "::1", True),
        ([], [("10.1.2.3", 24)], "10.1.2.200", True),  # host bits in the base are ignored
    ],
)
def test_lists(white: list[tuple[str, int]], black: list[tuple[str, int]], host: str, denied: bool) -> None:
    admission = Admission()
    admission.whitelist, admission.blacklist = subnets(white), subnets(black)
    assert admission.denies(host) is denied


def test_connections_are_counted_in_all_and_per_host() -> None:
    admission = Admission()
    admission.max_connections, admission.max_per_host = 3, 2
    for host in ("a", "a"):
        assert not admission.crowded(host)
        admission.enter(host)
    assert admission.crowded("a")
    assert not admission.crowded("b")
    admission.enter(None)
    assert admission.crowded("b")
    assert admission.crowded(None)
    admission.leave("a")
    admission.leave("a")
    assert not admission.crowded("a")
    assert admission.per_host == {}


def test_local_sockets_have_no_host_limit() -> None:
    admission = Admission()
    admission.max_per_host = 1
    admission.enter(None)
    assert not admission.crowded(None)


def test_rate_is_a_window_of_one_second_from_the_first_request() -> None:
    admission = Admission()
    admission.rate = 2
    times = [(0.0, False), (0.5, False), (0.6, True), (0.99, True), (1.0, False), (1.1, False), (1.2, True)]
    assert [admission.too_fast("a", at) for at, _ in times] == [late for _, late in times]
    assert not admission.too_fast("b", 1.2)


def test_rate_zero_is_off() -> None:
    admission = Admission()
    assert not any(admission.too_fast("a", 0.0) for _ in range(1000))


def test_windows_of_many_hosts_are_swept() -> None:
    admission = Admission()
    admission.rate = 1
    for number in range(5000):
        admission.too_fast(f"10.0.{number >> 8}.{number & 255}", 0.0)
    admission.too_fast("10.9.9.9", 5.0)
    assert len(admission._windows) <= 4097 + 1
    admission.too_fast("10.9.9.8", 5.0)
    assert len(admission._windows) < 4097
