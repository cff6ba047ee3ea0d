"""JSON Web Tokens: which prove who asks and what they grant, and which are refused, and why."""

import json
import threading

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from issuer import (
    ALICE,
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
    b64,
    ec_key,
    key_server,
    key_set,
    public,
    rsa_key,
    sign,
    token,
)

from datastore_logic.access.jwt_bearer import LONGEST, MOST_PATTERNS, JwtVerifier
from datastore_logic.access.roles import Role
from datastore_logic.access.settings import JwtSettings
from datastore_logic.errors import KeysAway, Unauthenticated

OTHER_SECRET = "fedcba9876543210fedcba9876543210-other"  # noqa: S105 - of these tests
KEYS = key_set(public(rsa_key(), "rsa"), public(ec_key(), "ec"))


@pytest.fixture(scope="module")
def jwks(tmp_path_factory):
    """Return a file with an RSA key and one on P-256."""
    path = tmp_path_factory.mktemp("jwks") / "jwks.json"
    path.write_bytes(KEYS)
    return str(path)


@pytest.fixture(scope="module")
def verifier(jwks):
    """Return a judge of tokens by secret and by keys."""
    return made(JWT_SECRET=SECRET, JWT_JWKS=jwks)


def made(**environ):
    """Return the judge that an environment makes."""
    told = {"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE, **environ}
    return JwtVerifier(JwtSettings.from_environ(told))


def refusal(judge, sent, now=NOW):
    """Return the words with which a token is refused; none of it is in them."""
    with pytest.raises(Unauthenticated) as refused:
        judge.verify(sent, now)
    words = str(refused.value)
    assert not any(part in words for part in sent.split(".") if len(part) > 8)
    assert SECRET not in words
    assert refused.value.__cause__ is None
    return words


def grants(judge, **claims):
    """Return what a token with these claims grants, as (role, pattern)."""
    found = judge.verify(token({**ALICE, **claims}), NOW)
    return {(grant.role, grant.pattern.text) for grant in found.grants}


# who ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(SECRET, "HS256", None), (SECRET, "HS256", "whatever"), (rsa_key(), "RS256", "rsa"),
     (rsa_key(), "RS256", None), (ec_key(), "ES256", "ec"), (ec_key(), "ES256", None)],
)  # fmt: skip
def test_a_good_token_names_who_asks(verifier, key, algorithm, kid):
    """By the secret, and by either kind of key; a key that is the only one need not be named."""
    found = verifier.verify(token(ALICE, key, algorithm, kid=kid), NOW)
    assert (found.subject, found.kind, found.expires) == ("alice", "jwt", ALICE["exp"])
    assert found.is_verified


def test_what_the_library_encodes_is_understood(verifier):
    """Tokens as PyJWT makes them: nothing here rests on how these tests make theirs."""
    for key, algorithm, kid in ((SECRET, "HS256", None), (rsa_key(), "RS256", "rsa")):
        sent = jwt.encode(ALICE, key, algorithm, {"kid": kid} if kid else None)
        assert verifier.verify(sent, NOW).subject == "alice"


def test_an_old_and_a_new_secret_hold_at_once(tmp_path):
    """While the secret is changed."""
    path = tmp_path / "secret"
    path.write_text(f"{OTHER_SECRET}\n{SECRET}\n")
    judge = made(JWT_SECRET_FILE=str(path))
    for key in (SECRET, OTHER_SECRET):
        assert judge.verify(token(ALICE, key), NOW).subject == "alice"


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+JWT", None])
def test_what_an_access_token_may_call_itself(verifier, kind):
    """Nothing, JWT, or an access token of RFC 9068."""
    assert verifier.verify(token(ALICE, typ=kind), NOW)


@pytest.mark.parametrize("name", ["Zo\u00eb", "O'Neill, K.", "x" * 200, "\u674e", "a b"])
def test_a_subject_is_any_printable_name(verifier, name):
    """As an issuer has it."""
    assert verifier.verify(token({**ALICE, "sub": name}), NOW).subject == name


@pytest.mark.parametrize(
    "name",
    [None, "", "x" * 201, "a\nb", "a\x00", "\ud800", " alice", "alice ", 7, ["alice"], {}, True],
)
def test_without_a_name_nobody_asks(verifier, name):
    """The ledger keeps it: it must be text that can be read and told apart."""
    assert "sub" in refusal(verifier, token({**ALICE, "sub": name}))
    claims = {key: value for key, value in ALICE.items() if key != "sub"}
    assert "sub" in refusal(verifier, token(claims))


@pytest.mark.parametrize("name", ["admin", "anonymous"])
def test_nobody_at_an_issuer_is_called_as_the_founder_or_nobody_is(verifier, name):
    """Else the ledger could not tell them, and tokens that they make would be other people's."""
    assert f"is {name}, as whom others act" in refusal(verifier, token({**ALICE, "sub": name}))
    assert verifier.verify(token({**ALICE, "sub": f"{name}2"}), NOW).subject == f"{name}2"


def test_another_claim_may_name_who_asks():
    """Keycloak's `sub` is a number that nobody knows."""
    judge = made(JWT_SECRET=SECRET, JWT_SUBJECT_CLAIM="preferred_username")
    sent = token({**ALICE, "preferred_username": "alice2"})
    assert judge.verify(sent, NOW).subject == "alice2"
    assert "preferred_username" in refusal(judge, token(ALICE))


# when --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "now", "words"),
    [
        ({"exp": NOW}, NOW + 29.9, None),
        ({"exp": NOW}, NOW + 30, "expired"),
        ({"exp": NOW + 0.5}, NOW + 30.4, None),
        ({"exp": 0}, NOW, "expired"),
        ({"nbf": NOW}, NOW - 30, None),
        ({"nbf": NOW}, NOW - 30.1, "nbf"),
        ({"iat": NOW}, NOW - 30, None),
        ({"iat": NOW}, NOW - 30.1, "iat"),
    ],
)
def test_a_token_holds_in_its_time_and_no_longer(verifier, claims, now, words):
    """With half a minute by which clocks may differ."""
    sent = token({**ALICE, **claims})
    if words is None:
        assert verifier.verify(sent, now)
    else:
        assert words in refusal(verifier, sent, now)


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "told",
    ["null", '"1795000600"', "true", "-1", "1e400", "NaN", "Infinity", "[]", "{}", "9" * 400,
     str(2**60)],
)  # fmt: skip
def test_a_time_must_be_a_time(verifier, name, told):
    """Seconds since 1970."""
    claims = json.dumps({key: value for key, value in ALICE.items() if key != name})
    words = refusal(verifier, token(f'{claims[:-1]},"{name}":{told}}}'))
    assert name in words or "cannot be read" in words


def test_a_token_must_end(verifier):
    """One that holds for ever cannot be taken back."""
    claims = {key: value for key, value in ALICE.items() if key != "exp"}
    assert "exp" in refusal(verifier, token(claims))


@given(st.integers(0, 2**53 - 1), st.integers(0, 300), st.floats(-1e6, 1e6))
def test_no_leeway_lets_a_token_live_longer_than_that(end, leeway, offset):
    """It is good until its end and the leeway, exclusive."""
    judge = made(JWT_SECRET=SECRET, JWT_LEEWAY=str(leeway))
    sent, now = token({**ALICE, "exp": end}), end + leeway + offset
    if now < end + leeway:
        assert judge.verify(sent, now).expires == end
    else:
        assert "expired" in refusal(judge, sent, now)


# for whom ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]])
def test_a_token_may_be_for_several(verifier, audience):
    """One of whom is us."""
    assert verifier.verify(token({**ALICE, "aud": audience}), NOW)


@pytest.mark.parametrize(
    "audience",
    ["other", "condstore2", "cond", "", [], ["other"], [[AUDIENCE]], {AUDIENCE: 1}, None, 7],
)
def test_a_token_for_another_is_refused(verifier, audience):
    """It was given to another service, which could use it here."""
    assert "audience" in refusal(verifier, token({**ALICE, "aud": audience}))


@pytest.mark.parametrize("issuer", ["https://other", f"{ISSUER}/", "", None, [ISSUER], 7])
def test_a_token_of_another_issuer_is_refused(verifier, issuer):
    """To the letter."""
    assert "issuer" in refusal(verifier, token({**ALICE, "iss": issuer}))


def test_the_secret_alone_needs_neither_issuer_nor_audience():
    """As nopayloaddb has it; but a token that is for somebody is not for us."""
    judge = made(JWT_SECRET=SECRET, JWT_ISSUER="", JWT_AUDIENCE="")
    claims = {"sub": "alice", "exp": int(NOW) + 60}
    assert judge.verify(token(claims), NOW).subject == "alice"
    assert judge.verify(token({**claims, "iss": "anybody"}), NOW).subject == "alice"
    assert "JWT_AUDIENCE" in refusal(judge, token({**claims, "aud": "other"}))


# what is granted ---------------------------------------------------------------------------------


def test_claims_become_grants(verifier):
    """Of nopayloaddb's three, and a fourth for readers; one pattern or several."""
    assert grants(verifier) == set()
    assert grants(
        verifier,
        **{"b2cdb:admin": "mine_.*", "b2cdb:createiov": ["a", "b.*"], "condstore:read": ".*",
           "b2cdb:createpayload": [], "unknown:claim": 7},
    ) == {
        (Role.ADMIN, "mine_.*"), (Role.EDITOR, "a"), (Role.EDITOR, "b.*"), (Role.READER, ".*"),
    }  # fmt: skip


def test_a_pattern_covers_whole_names_only(verifier):
    """`prompt` is not `prompt_2026`."""
    found = verifier.verify(token({**ALICE, "b2cdb:admin": "prompt"}), NOW)
    assert found.may(Role.ADMIN, "prompt")
    assert not any(found.may(Role.READER, tag) for tag in ("prompt_2026", "xprompt", "prompt\n"))


def test_claims_may_have_other_names():
    """An issuer's own; nopayloaddb's then grant nothing."""
    judge = made(JWT_SECRET=SECRET, CLAIM_ADMIN="https://exp.example/admin")
    told = {"https://exp.example/admin": "a", "b2cdb:admin": "b", "b2cdb:createiov": "c"}
    assert grants(judge, **told) == {(Role.ADMIN, "a"), (Role.EDITOR, "c")}


@pytest.mark.parametrize(
    "told",
    ["", "(", "(?=a)b", "a\n", None, True, 7, {"a": 1}, [""], ["a", 7], [["a"]], "x" * 501,
     ["a"] * (MOST_PATTERNS + 1)],
)  # fmt: skip
@pytest.mark.parametrize(
    "claim", ["b2cdb:admin", "b2cdb:createiov", "b2cdb:createpayload", "condstore:read"]
)
def test_a_claim_that_is_no_pattern_makes_the_token_bad(verifier, claim, told):
    """The words name the claim: granting less in silence would be a riddle."""
    assert claim in refusal(verifier, token({**ALICE, claim: told}))


# what is no token of ours ------------------------------------------------------------------------


PUBLIC_PEM = (
    rsa_key()
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)
PUBLIC_DER = (
    rsa_key()
    .public_key()
    .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
)


@pytest.mark.parametrize(
    ("key", "algorithm", "signs", "kid"),
    [
        (OTHER_SECRET, "HS256", "", None),
        (SECRET.upper(), "HS256", "", None),
        (SECRET, "HS384", "", None),
        (SECRET, "HS512", "", None),
        (SECRET, "HS512", "HS256", None),
        (SECRET, "none", "HS256", None),
        (SECRET, "None", "HS256", None),
        (SECRET, "hs256", "HS256", None),
        (SECRET, "", "HS256", None),
        (SECRET, ["HS256"], "HS256", None),
        (SECRET, None, "HS256", None),
        (rsa_key("other"), "RS256", "", "rsa"),
        (rsa_key("other"), "RS256", "", "unknown"),
        (rsa_key(), "RS256", "", "ec"),
        (rsa_key(), "RS512", "", "rsa"),
        (rsa_key(), "RS256", "RS512", "rsa"),
        (rsa_key(), "PS256", "RS256", "rsa"),
        (rsa_key(), "ES256", "RS256", "rsa"),
        (rsa_key(), "HS256", "RS256", "rsa"),
        (ec_key("other"), "ES256", "", "ec"),
        (ec_key(), "RS256", "ES256", "ec"),
        (SECRET, "RS256", "HS256", "rsa"),
        (PUBLIC_PEM, "HS256", "", "rsa"),
        (PUBLIC_PEM.strip(), "HS256", "", "rsa"),
        (PUBLIC_DER, "HS256", "", "rsa"),
        (PUBLIC_PEM, "RS256", "HS256", "rsa"),
        (json.dumps(public(rsa_key(), "rsa")), "HS256", "", "rsa"),
        (KEYS, "HS256", "", "rsa"),
    ],
)
def test_no_other_key_and_no_other_algorithm_signs(verifier, key, algorithm, signs, kid):
    """Whatever the header says: the wrong key, none, or a public key taken for a secret."""
    sent = token(ALICE, key, algorithm, signs=signs, kid=kid)
    assert "sign" in refusal(verifier, sent)


def test_a_token_without_a_signature_is_none(verifier):
    """RFC 7519's unsecured token has an empty third part."""
    assert refusal(verifier, token({**ALICE, "b2cdb:admin": ".*"}, "", "none"))


def test_without_a_secret_no_secret_signs(jwks):
    """Not the empty one either, nor a public key."""
    judge = made(JWT_JWKS=jwks)
    for key in ("", SECRET, PUBLIC_PEM, KEYS):
        assert "sign" in refusal(judge, token(ALICE, key))


def test_without_keys_no_key_signs():
    """Whichever a token brings along or points to."""
    judge = made(JWT_SECRET=SECRET)
    assert "sign" in refusal(judge, token(ALICE, rsa_key(), "RS256", kid="rsa"))


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": public(rsa_key("own"))},
        {"jku": "https://attacker.example/keys"},
        {"x5u": "https://attacker.example/cert"},
        {"x5c": ["MIIB"]},
        {"crit": []},
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": True},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": 7},
    ],
)
def test_headers_that_would_change_what_is_checked_are_refused(verifier, header):
    """A key brought along, a place to fetch one, an extension that must be understood."""
    (name,) = header.keys() & {"jwk", "jku", "x5u", "x5c", "crit", "zip", "enc", "typ"} or {"b64"}
    for key, algorithm in ((SECRET, "HS256"), (rsa_key("own"), "RS256")):
        assert name in refusal(verifier, token(ALICE, key, algorithm, **header))


def test_no_place_that_a_token_names_is_asked(jwks):
    """Not before it is refused either."""
    with key_server(KEYS) as attacker:
        judge = made(JWT_JWKS=jwks)
        for name in ("jku", "x5u"):
            refusal(judge, token(ALICE, rsa_key(), "RS256", **{name: attacker.url}))
        refusal(judge, token(ALICE, rsa_key(), "RS256", kid=attacker.url))
        assert attacker.asked == 0


@pytest.mark.parametrize("kid", [7, ["rsa"], {"a": 1}, True, "x" * 501])
def test_the_name_of_a_key_is_a_name(verifier, kid):
    """Of bounded length."""
    assert "kid" in refusal(verifier, token(ALICE, rsa_key(), "RS256", kid=kid))


@pytest.mark.parametrize(
    "kid", ["", "../../etc/passwd", "rsa\x00", "RSA", "' or 1=1 --", "\ud800", "rsa "]
)
def test_a_key_of_another_name_is_not_known(verifier, kid):
    """A name is compared, and used for nothing else."""
    assert "sign" in refusal(verifier, token(ALICE, rsa_key(), "RS256", kid=kid))


GOOD = token(ALICE)
HEAD, BODY, SIGNATURE = GOOD.split(".")


@pytest.mark.parametrize(
    "sent",
    [
        "", ".", "..", "...", HEAD, f"{HEAD}.{BODY}", f"{HEAD}.{BODY}.", f".{BODY}.{SIGNATURE}",
        f"{HEAD}..{SIGNATURE}", f"{GOOD}.", f".{GOOD}", f"{GOOD}.{SIGNATURE}", f"{GOOD}=",
        f"{HEAD}=.{BODY}.{SIGNATURE}", f" {GOOD}", f"{GOOD} ", f"{GOOD}\n",
        GOOD.replace(".", "..", 1),
        f"{HEAD}.{BODY}.{SIGNATURE}.{BODY}.{SIGNATURE}", f"{HEAD}+.{BODY}.{SIGNATURE}",
        f"{HEAD}/.{BODY}.{SIGNATURE}", f"{HEAD}.{BODY}\u00e9.{SIGNATURE}", "\ud800.\ud800.\ud800",
        f"{HEAD}.{BODY}.{SIGNATURE}A", f"{HEAD}.{BODY}.{SIGNATURE[:-4]}", "a" * 100, "cst_a_b",
    ],
)  # fmt: skip
def test_what_is_not_the_compact_form_is_refused(verifier, sent):
    """Three parts of plain base64url, nothing before, between or behind them."""
    refusal(verifier, sent)


def test_a_token_has_one_spelling(verifier):
    """Bits of the last letter that carry nothing must be zero: no second token says the same."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [f"{GOOD[:-1]}{letter}" for letter in alphabet if letter != GOOD[-1]]
    assert len({refusal(verifier, sent) for sent in others}) == 1


def test_a_token_is_not_longer_than_a_header_may_be(verifier):
    """It is not looked into."""
    room = LONGEST - len(token({**ALICE, "x": ""}))
    assert verifier.verify(token({**ALICE, "x": "x" * (room * 3 // 4)}), NOW)
    assert "longer" in refusal(verifier, token({**ALICE, "x": "x" * room}))
    assert "longer" in refusal(verifier, "a." * LONGEST)


CLAIMS = json.dumps(ALICE)


@pytest.mark.parametrize(
    "claims",
    [
        "null", "[]", '"alice"', "7", "{", f"{CLAIMS}x", f"\ufeff{CLAIMS}", f"[{CLAIMS}]",
        f'{CLAIMS[:-1]},"sub":"mallory"}}', f'{CLAIMS[:-1]},"aud":"condstore"}}',
        f'{CLAIMS[:-1]},"x":{{"a":1,"a":2}}}}', f'{CLAIMS[:-1]},"x":NaN}}',
        f'{CLAIMS[:-1]},"x":{"[" * 2000}}}', f'{CLAIMS[:-1]},"x":{"9" * 5000}}}',
        f'{CLAIMS[:-1]},"x":{"[" * 2000}{"]" * 2000}}}',
    ],
)  # fmt: skip
def test_claims_that_may_be_read_in_two_ways_are_refused(verifier, claims):
    """No object, a name twice (also deep inside), what JSON does not know, what would not end."""
    assert "claims" in refusal(verifier, token(claims))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_claims_are_utf8(verifier, encoding):
    """As RFC 7519 has it; nothing is guessed."""
    body = b64(json.dumps({**ALICE, "x": "\u00e9"}, ensure_ascii=False).encode(encoding))
    signed = f"{HEAD}.{body}"
    assert "claims" in refusal(verifier, f"{signed}.{b64(sign('HS256', SECRET, signed))}")


@pytest.mark.parametrize(
    "header",
    ["{}", "[]", "null", '{"alg":"HS256","alg":"none"}', '{"alg":"none","alg":"HS256"}', "{",
     '{"alg":"HS256"', '"HS256"', '{"ALG":"HS256"}', '{"alg":NaN}'],
)  # fmt: skip
def test_a_header_that_may_be_read_in_two_ways_is_refused(verifier, header):
    """The signature is good; it is not looked at."""
    assert refusal(verifier, token(ALICE, raw=header))


@given(st.text(max_size=200) | st.lists(st.binary(max_size=60), min_size=3, max_size=3))
def test_no_bytes_do_anything_but_be_refused(verifier, sent):
    """What an attacker can send without a key."""
    refusal(verifier, sent if isinstance(sent, str) else ".".join(map(b64, sent)))


@given(st.data())
def test_a_token_that_is_changed_anywhere_is_refused(verifier, data):
    """One letter is enough."""
    key, algorithm, kid = data.draw(
        st.sampled_from(
            [(SECRET, "HS256", None), (rsa_key(), "RS256", "rsa"), (ec_key(), "ES256", "ec")]
        )
    )
    sent = token({**ALICE, "b2cdb:admin": "mine"}, key, algorithm, kid=kid)
    at = data.draw(st.integers(0, len(sent) - 1))
    letter = data.draw(st.sampled_from("ABab01-_."))
    if sent[at] != letter:
        with pytest.raises(Unauthenticated):
            verifier.verify(sent[:at] + letter + sent[at + 1 :], NOW)


# keys that come and go ---------------------------------------------------------------------------


def test_a_token_by_a_new_key_of_the_issuer_is_good():
    """The issuer rotates; nothing is restarted."""
    with key_server(key_set(public(rsa_key("old"), "old"))) as issuer:
        judge = made(JWT_JWKS=issuer.url)
        judge._keys._clock = clock = iter(range(1000, 10**6, 10)).__next__
        assert clock
        assert judge.verify(token(ALICE, rsa_key("old"), "RS256", kid="old"), NOW)
        issuer.content = key_set(public(rsa_key("old"), "old"), public(rsa_key("new"), "new"))
        assert judge.verify(token(ALICE, rsa_key("new"), "RS256", kid="new"), NOW)


def test_an_issuer_that_is_away_is_not_the_tokens_fault():
    """503: whether it is good nobody can say. Tokens by the secret go on."""
    with key_server(b"not yet") as issuer:
        judge = made(JWT_JWKS=issuer.url, JWT_SECRET=SECRET)
        with pytest.raises(KeysAway):
            judge.verify(token(ALICE, rsa_key(), "RS256", kid="rsa"), NOW)
        assert judge.verify(token(ALICE), NOW)


def test_many_threads_may_ask_at_once(verifier):
    """Nothing is shared that one of them changes."""
    found = []
    tokens = [token({**ALICE, "sub": f"user{n}"}, rsa_key(), "RS256", kid="rsa") for n in range(8)]
    threads = [
        threading.Thread(target=lambda t=t: found.append(verifier.verify(t, NOW).subject))
        for t in tokens
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == [f"user{n}" for n in range(8)]
