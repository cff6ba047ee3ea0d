"""Which keys of a key set are taken, and for which algorithm."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from issuer import SECRET, ec_key, key_set, public, rsa_key

from datastore_logic.access import signing_keys
from datastore_logic.access.signing_keys import BadKeySet, secret_key, the_one

GOOD = public(ec_key(), "good")


def taken(*entries):
    """Return the names of those entries that are taken, beside one that always is."""
    return [key.kid for key in signing_keys.key_set(key_set(*entries, GOOD))][:-1]


@pytest.mark.parametrize(
    ("key", "algorithm"), [(rsa_key(), "RS256"), (ec_key(), "ES256")], ids=["RSA", "P-256"]
)
@pytest.mark.parametrize(
    "told",
    [{}, {"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}, {"x5c": ["…"]},
     {"ext": True}],
)  # fmt: skip
def test_the_kind_of_a_key_decides_its_algorithm(key, algorithm, told):
    """RS256 for RSA, ES256 for P-256, said or not."""
    for more in (told, {**told, "alg": algorithm}):
        (found,) = signing_keys.key_set(key_set(public(key, "k", **more)))
        assert (found.kid, found.jwk.algorithm_name) == ("k", algorithm)


@pytest.mark.parametrize(
    "entry",
    [
        public(rsa_key(), "k", alg="RS512"),
        public(rsa_key(), "k", alg="PS256"),
        public(rsa_key(), "k", alg="HS256"),
        public(rsa_key(), "k", alg="ES256"),
        public(rsa_key(), "k", alg="none"),
        public(rsa_key(), "k", alg=None),
        public(ec_key(), "k", alg="RS256"),
        public(rsa_key(), "k", use="enc"),
        public(rsa_key(), "k", key_ops=["encrypt"]),
        public(rsa_key(), "k", key_ops="verify"),
        public(rsa_key("short", 1024), "k"),
        public(ec_key("wide", ec.SECP384R1), "k"),
        public(ec_key("koblitz", ec.SECP256K1), "k"),
        public(ec_key(), "k", y=public(ec_key("other"))["y"]),
        public(rsa_key(), "k", d="AQAB"),
        public(rsa_key(), 7),
        {"kty": "oct", "k": SECRET, "kid": "k"},
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "RSA", "kid": "k"},
        {"kty": "RSA", "kid": "k", "n": 7, "e": []},
        {"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"},
        {"kty": ["RSA"], "kid": "k"},
        {"kid": "k"},
        {},
        "k",
        None,
    ],
)
def test_a_key_that_is_not_for_us_is_passed_over(entry):
    """For another algorithm or use, too short, private, malformed: the others are taken."""
    assert taken(entry) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', key_set({}), b"\xff" * 9,
     key_set(*[GOOD] * 101), b'{"keys":' + b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_set_of_keys_is_refused(content):
    """A page of another service, an empty set, thousands of keys."""
    with pytest.raises(BadKeySet):
        signing_keys.key_set(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=9,
)
MEMBERS = st.sampled_from(["kty", "n", "e", "crv", "x", "y", "alg", "use", "key_ops", "kid", "d"])


@given(st.sampled_from([GOOD, public(rsa_key(), "k")]), st.dictionaries(MEMBERS, JSON, max_size=3))
def test_whatever_an_entry_says_no_other_kind_of_key_comes_of_it(entry, changed):
    """Nor anything but a refusal."""
    content = json.dumps({"keys": [{**entry, **changed}]}).encode()
    try:
        found = signing_keys.key_set(content)
    except BadKeySet:
        return
    for key in found:
        assert key.jwk.algorithm_name == {"RSA": "RS256", "EC": "ES256"}[key.jwk.key_type]
        assert key.kid is None or isinstance(key.kid, str)


def test_a_secret_is_for_hs256_only():
    """It can be taken for no public key, and no public key for it."""
    key = secret_key(SECRET)
    assert key.fits(None, "HS256")
    assert not any(key.fits(None, other) for other in ("RS256", "ES256", "HS512", "none", ""))


def test_a_token_means_the_key_it_names():
    """The name and the algorithm must be that of one key."""
    keys = signing_keys.key_set(
        key_set(public(rsa_key(), "a"), public(rsa_key("b"), "b"), public(ec_key(), "c"))
    )
    assert the_one(keys, "b", "RS256").kid == "b"
    assert the_one(keys, None, "ES256").kid == "c"
    for kid, algorithm in (("b", "ES256"), ("d", "RS256"), (None, "RS256"), ("c", "HS256")):
        assert the_one(keys, kid, algorithm) is None


def test_two_keys_of_one_name_are_none():
    """Which of them is meant nobody can say."""
    keys = signing_keys.key_set(key_set(public(rsa_key(), "a"), public(rsa_key("b"), "a")))
    assert the_one(keys, "a", "RS256") is None
