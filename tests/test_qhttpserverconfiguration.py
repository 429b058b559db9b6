import copy
from datetime import timedelta

import pytest
from PySide6.QtNetwork import QHostAddress

from qhttpserver_py._protocol.engine import Limits
from qhttpserver_py.qhttpserverconfiguration import QHttpServerConfiguration

DEFAULTS = {
    "rateLimitPerSecond": 0,
    "keepAliveTimeout": 15,
    "maximumUrlSize": 65536,
    "maximumTotalHeaderSize": 65536,
    "maximumHeaderFieldSize": 49152,
    "maximumHeaderFieldCount": 128,
    "maximumBodySize": 33554432,
    "maximumConnections": 0,
    "maximumConnectionsPerHost": 0,
}
UNSIGNED = ["rateLimitPerSecond", "maximumConnections", "maximumConnectionsPerHost"]
SIGNED = [name for name in DEFAULTS if name not in UNSIGNED]


def put(configuration, name, value):
    getattr(configuration, f"set{name[0].upper()}{name[1:]}")(value)


def get(configuration, name):
    return getattr(configuration, name)()


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_defaults(name, default):
    assert get(QHttpServerConfiguration(), name) == default


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [0, 1, 7, True])
def test_setters(name, value):
    configuration = QHttpServerConfiguration()
    put(configuration, name, value)
    assert get(configuration, name) == value
    others = {other: get(configuration, other) for other in DEFAULTS if other != name}
    assert others == {other: default for other, default in DEFAULTS.items() if other != name}


@pytest.mark.parametrize("name", UNSIGNED)
def test_unsigned_range(name):
    configuration = QHttpServerConfiguration()
    put(configuration, name, 2**32 - 1)
    assert get(configuration, name) == 2**32 - 1
    for value in (-1, 2**32):
        with pytest.raises(OverflowError, match="0 to 4294967295"):
            put(configuration, name, value)
    assert get(configuration, name) == 2**32 - 1


@pytest.mark.parametrize("name", SIGNED)
def test_signed_range(name):
    configuration = QHttpServerConfiguration()
    for value in (-1, -5, 2**63 - 1, -(2**63)):
        put(configuration, name, value)
        assert get(configuration, name) == value
    for value in (2**63, -(2**63) - 1):
        with pytest.raises(OverflowError, match="64 bits"):
            put(configuration, name, value)


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", ["3", None, 1.5])
def test_what_is_no_integer_is_refused(name, value):
    with pytest.raises(TypeError):
        put(QHttpServerConfiguration(), name, value)


@pytest.mark.parametrize(("span", "seconds"), [({"minutes": 2}, 120), ({"milliseconds": 1900}, 1), ({}, 0)])
def test_timeout_as_timedelta(span, seconds):
    configuration = QHttpServerConfiguration()
    configuration.setKeepAliveTimeout(timedelta(**span))
    assert configuration.keepAliveTimeout() == seconds


@pytest.mark.parametrize("name", ["whitelist", "blacklist"])
@pytest.mark.parametrize(
    ("item", "address", "prefix"),
    [
        ((QHostAddress("10.0.0.0"), 8), "10.0.0.0", 8),
        ([QHostAddress("::1"), 128], "::1", 128),
        (("192.168.0.0", 16), "192.168.0.0", 16),
        ((QHostAddress("10.0.0.0"), -1), "10.0.0.0", -1),
        ((QHostAddress("0.0.0.0"), 0), "0.0.0.0", 0),
        (QHostAddress.parseSubnet("10.1.0.0/16"), "10.1.0.0", 16),
        ("10.0.0.0/8", "10.0.0.0", 8),
        ("127.0.0.1", "127.0.0.1", 32),
        ("fe80::/10", "fe80::", 10),
        ("::1", "::1", 128),
    ],
)
def test_subnets(name, item, address, prefix):
    configuration = QHttpServerConfiguration()
    put(configuration, name, [item])
    assert get(configuration, name) == [(QHostAddress(address), prefix)]
    put(configuration, name, iter([item, item]))
    assert len(get(configuration, name)) == 2
    put(configuration, name, [])
    assert get(configuration, name) == []


@pytest.mark.parametrize(
    "item",
    [
        "",
        "nonsense",
        "10.0.0.0/33",
        "::/129",
        QHostAddress.parseSubnet("typo"),
        ("10.0.0.0", 33),
        ("::1", 129),
        ("x", 8),
    ],
)
def test_what_is_no_subnet_is_refused(item):
    with pytest.raises(ValueError, match="is no subnet"):
        QHttpServerConfiguration().setBlacklist([item])


@pytest.mark.parametrize("items", ["10.0.0.0/8", None, [5], [(QHostAddress("::1"),)], [("::1", "8")], [(5, 5)]])
def test_subnets_of_another_type_are_refused(items):
    with pytest.raises(TypeError):
        QHttpServerConfiguration().setWhitelist(items)


def test_a_list_handed_out_or_in_is_a_copy():
    configuration = QHttpServerConfiguration()
    given = ["10.0.0.0/8"]
    configuration.setWhitelist(given)
    given.clear()
    configuration.whitelist().clear()
    assert len(configuration.whitelist()) == 1


def changed():
    configuration = QHttpServerConfiguration()
    configuration.setMaximumBodySize(5)
    configuration.setBlacklist(["10.0.0.0/8"])
    return configuration


@pytest.mark.parametrize("duplicate", [QHttpServerConfiguration, copy.copy, copy.deepcopy])
def test_copies_are_equal_and_apart(duplicate):
    one = changed()
    two = duplicate(one)
    assert one == two
    assert (one != two) is False
    two.setRateLimitPerSecond(1)
    assert one != two
    assert one.rateLimitPerSecond() == 0


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_setting_counts_for_equality(name):
    one, two = QHttpServerConfiguration(), QHttpServerConfiguration()
    assert one == two
    put(one, name, 3)
    assert one != two


def test_equality_with_others():
    assert QHttpServerConfiguration() != 3
    assert QHttpServerConfiguration() != None  # noqa: E711
    with pytest.raises(TypeError, match="unhashable"):
        hash(QHttpServerConfiguration())


def test_swap():
    one, two = changed(), QHttpServerConfiguration()
    one.swap(two)
    assert one == QHttpServerConfiguration()
    assert two == changed()


@pytest.mark.parametrize("bad", [1, "x", {}])
def test_wrong_types_are_refused(bad):
    with pytest.raises(TypeError, match="expected a QHttpServerConfiguration"):
        QHttpServerConfiguration(bad)
    with pytest.raises(TypeError, match="expected a QHttpServerConfiguration"):
        QHttpServerConfiguration().swap(bad)


def test_repr_names_what_was_changed():
    assert repr(QHttpServerConfiguration()) == "QHttpServerConfiguration()"
    configuration = QHttpServerConfiguration()
    configuration.setKeepAliveTimeout(3)
    assert repr(configuration) == "QHttpServerConfiguration(keep_alive=3)"


def test_apply_to_limits():
    configuration = QHttpServerConfiguration()
    for number, name in enumerate(SIGNED, 1):
        put(configuration, name, number)
    limits = Limits()
    configuration._apply_to(limits)
    assert limits.keep_alive == 1
    assert b"timeout=1\r\n" in limits.persistent_tail
    sizes = limits.url_size, limits.header_size, limits.field_size, limits.field_count, limits.body_size
    assert sizes == (2, 3, 4, 5, 6)


def test_defaults_are_those_of_the_engines():
    limits, fresh = Limits(), Limits()
    QHttpServerConfiguration()._apply_to(limits)
    names = set(Limits.__slots__) - {"pool", "generation"}  # no limits, but what is counted
    assert {name: getattr(limits, name) for name in names} == {name: getattr(fresh, name) for name in names}


def test_a_configuration_with_lists_can_be_pickled():
    import pickle

    made = QHttpServerConfiguration()
    made.setWhitelist(["10.0.0.0/8", "::1"])
    made.setRateLimitPerSecond(5)
    assert pickle.loads(pickle.dumps(made)) == made
