"""Who is at the other end: only a trusted proxy is believed, and only for its own hop."""

from ipaddress import ip_network

import pytest

from datastore_logic.web.address import FromProxies, caller_address, parse, place_of

NETS = tuple(map(ip_network, ("10.0.0.0/8", "127.0.0.1/32", "fd00::/8")))

CALLERS = [
    ("192.0.2.9", None, "192.0.2.9"),
    ("192.0.2.9", "6.6.6.6", "192.0.2.9"),
    ("10.0.0.1", None, "10.0.0.1"),
    ("10.0.0.1", "", "10.0.0.1"),
    ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
    ("10.0.0.1", "6.6.6.6,192.0.2.7", "192.0.2.7"),
    ("10.0.0.1", "127.0.0.1, 192.0.2.7, 10.1.1.1 ,fd00::1", "192.0.2.7"),
    ("10.0.0.1", "10.3.3.3, 10.1.1.1", "10.3.3.3"),
    ("10.0.0.1", "192.0.2.7:4711", "192.0.2.7"),
    ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
    ("10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
    ("10.0.0.1", "2001:DB8:0::7", "2001:db8::7"),
    ("10.0.0.1", "::ffff:192.0.2.7", "192.0.2.7"),
    ("::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"),
    ("fd00::9%eth0", "192.0.2.7", "192.0.2.7"),
    ("10.0.0.1", "unknown", "10.0.0.1"),
    ("10.0.0.1", "6.6.6.6, nonsense, 10.1.1.1", "10.1.1.1"),
    ("10.0.0.1", "6.6.6.6,", "10.0.0.1"),
    ("10.0.0.1", "127.1", "10.0.0.1"),
    ("10.0.0.1", "010.0.0.1", "10.0.0.1"),
    ("10.0.0.1", "192.0.2.7\u0663", "10.0.0.1"),
    ("", "192.0.2.7", ""),
]


@pytest.mark.parametrize(("peer", "told", "caller"), CALLERS)
def test_the_caller_is_the_first_who_is_not_trusted(peer, told, caller):
    """From the right, past trusted hops; what is no address is nobody's word."""
    assert caller_address(peer, told, NETS) == caller


def test_without_trusted_proxies_nobody_speaks_for_another():
    """Not even who comes from this machine."""
    assert caller_address("127.0.0.1", "192.0.2.7", ()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_an_ipv6_network_is_one_place(address, place):
    """Whoever has one address has all of its /64."""
    assert place_of(address) == place


def test_a_zone_is_no_text_of_the_caller_in_an_address():
    """Anything may follow the percent sign."""
    assert str(parse("fe80::1%<b>\n")) == "fe80::1"


def seen(trusted, **environ):
    """Return what the application sees of such a request."""
    found = {}

    def app(told, _start):
        found.update(told)
        return []

    FromProxies(app, trusted)({"wsgi.url_scheme": "http", "HTTP_HOST": "here", **environ}, None)
    return found


FROM_PROXY = {
    "HTTP_X_FORWARDED_FOR": "192.0.2.7",
    "HTTP_X_FORWARDED_PROTO": "http, HTTPS",
    "HTTP_X_FORWARDED_HOST": "evil.example, conditions.example:8443",
    "HTTP_FORWARDED": "for=6.6.6.6",
}


def test_a_trusted_proxy_says_how_it_was_asked():
    """The nearest one's word: scheme, host and caller."""
    told = seen(NETS, REMOTE_ADDR="10.0.0.1", **FROM_PROXY)
    assert told["REMOTE_ADDR"] == "192.0.2.7"
    assert told["wsgi.url_scheme"] == "https"
    assert told["HTTP_HOST"] == "conditions.example:8443"


def test_from_anybody_else_it_was_not_sent():
    """Nothing changes, and nothing of it reaches the application."""
    told = seen(NETS, REMOTE_ADDR="192.0.2.9", **FROM_PROXY)
    assert told == {"REMOTE_ADDR": "192.0.2.9", "wsgi.url_scheme": "http", "HTTP_HOST": "here"}


@pytest.mark.parametrize("host", ["a b", "x/../y", "host:port", "<b>", "a\nb", "a@b"])
def test_a_host_that_is_none_is_not_taken(host):
    """A page shows it."""
    told = seen(NETS, REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_HOST=host)
    assert told["HTTP_HOST"] == "here"
