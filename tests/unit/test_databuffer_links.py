"""Signed links and the tiers' secrets: what is one, and what only looks like one."""

import hashlib
import hmac

import pytest

from databuffer.access.links import seconds_left
from databuffer.access.secrets import TierSecrets, parse_secret_file, parse_secrets
from databuffer.errors import BadConfiguration, LinkExpired, LinkInvalid

SECRET = "a" * 40
OTHER = "b" * 32
PATH = f"/blobs/sha256/{'0f' * 32}"
NOW = 1_800_000_000


def signature(text, secret=SECRET):
    """Sign as the specification of links says, step by step."""
    key = hmac.new(secret.encode(), b"condstore payload link", hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def link(path=PATH, expires=NOW + 60, secret=SECRET):
    """Make a link as the logic tier does."""
    signed = signature("\n".join(("GET", path, str(expires))), secret)
    return f"{path}?expires={expires}&signature={signed}"


def check(target, *secrets):
    """Check a link under these secrets, by default under the one it is signed with."""
    return seconds_left(target, TierSecrets(secrets or (SECRET,)).link_keys, NOW)


def test_a_link_holds_until_it_expires():
    """To the second, up to a day ahead."""
    assert check(link()) == 60
    assert check(link(expires=NOW + 86_400)) == 86_400
    assert check(link(expires=NOW + 1)) == 1
    for expires in (NOW, NOW - 1, 1):
        with pytest.raises(LinkExpired):
            check(link(expires=expires))


def test_a_link_of_either_secret_holds():
    """While the secret is changed, links signed under the old one go on."""
    assert check(link(secret=OTHER), SECRET, OTHER) == 60
    assert check(link(secret=SECRET), SECRET, OTHER) == 60
    with pytest.raises(LinkInvalid):
        check(link(secret=OTHER))


GOOD = link()
MAC = GOOD[-64:]
HEAD = f"HEAD\n{PATH}\n{NOW + 60}"


@pytest.mark.parametrize(
    "target",
    [
        PATH,
        f"{PATH}?",
        f"{PATH}?expires={NOW + 60}",
        f"{PATH}?signature={MAC}",
        f"{PATH}?signature={MAC}&expires={NOW + 60}",
        f"{PATH}?expires={NOW + 61}&signature={MAC}",
        f"{PATH}?expires={NOW + 60}&signature={MAC.upper()}",
        f"{PATH}?expires={NOW + 60}&signature={MAC[:-1]}",
        f"{PATH}?expires={NOW + 60}&signature={'0' * 64}",
        f"{PATH}?expires=0{NOW + 60}&signature={MAC}",
        f"{PATH}?expires=+{NOW + 60}&signature={MAC}",
        f"{PATH}?expires={NOW + 60}.0&signature={MAC}",
        f"{PATH}?expires={NOW + 60}&expires={NOW + 60}&signature={MAC}",
        f"{GOOD}&signature={MAC}",
        f"{GOOD}&more=1",
        f"{GOOD}&",
        f"{GOOD}#",
        f"{GOOD}\n",
        f" {GOOD}",
        GOOD.replace("expires", "%65xpires"),
        GOOD.replace("/0f", "/%30f", 1),
        GOOD.replace("/blobs", "//blobs"),
        GOOD.replace("/0f", "/1f", 1),
        f"http://host{GOOD}",
        f"{PATH}?expires={NOW + 60}&signature={signature(HEAD)}",
        link(expires=NOW + 86_401),
        link(expires=10**12),
        link(expires="١٨٠٠٠٠٠٠٦٠"),
    ],
)
def test_anything_else_is_no_link(target):
    """Forged, for another payload, too far ahead, repeated, reordered, oddly written."""
    with pytest.raises(LinkInvalid):
        check(target)


def test_that_it_expired_is_told_only_of_what_was_signed():
    """Who forges a link learns nothing from the time in it."""
    with pytest.raises(LinkInvalid):
        check(f"{PATH}?expires={NOW - 5}&signature={'0' * 64}")


def test_only_the_secrets_themselves_are_held():
    """Neither a part, nor another case, nor what is not ASCII, nor nothing."""
    secrets = TierSecrets((SECRET, OTHER))
    assert secrets.hold(SECRET)
    assert secrets.hold(OTHER)
    for given in ("", SECRET[:-1], f"{SECRET}a", SECRET.upper(), "ä" * 40, "\udcff", "\0"):
        assert not secrets.hold(given)
    assert not TierSecrets().hold("")


def test_nothing_shows_a_secret():
    """Neither its repr nor what is said of a bad one."""
    assert SECRET not in repr(TierSecrets((SECRET,)))
    for bad in (["short"], [SECRET, OTHER, "c" * 32], ["a b" * 20], [SECRET, ""], []):
        with pytest.raises(BadConfiguration) as told:
            parse_secrets("BUFFER_TOKEN", bad)
        assert "BUFFER_TOKEN" in str(told.value)
        assert not any(value and value in str(told.value) for value in bad)


def test_a_file_has_a_secret_a_line():
    """Blank lines and the way lines end do not matter; the same twice is one."""
    assert parse_secret_file("F", f"{SECRET}\r\n\n {OTHER} \n".encode()) == (SECRET, OTHER)
    assert parse_secret_file("F", f"{SECRET}\n{SECRET}".encode()) == (SECRET,)
    for content in (b"", b"\n", b"\xff" * 40, "ä".encode() * 40):
        with pytest.raises(BadConfiguration):
            parse_secret_file("F", content)
