"""Signing in with a browser where reads need a credential, for the pages and for nothing else."""

import re
from html import unescape
from urllib.parse import unquote

import pytest
from closed import ALL, closed, reader, store, token

from datastore_logic.access.routes import ROUTES
from datastore_logic.access.secret import Secret

ADMIN_TOKEN = 'of-these-tests;admin,0123456789="abcdef'  # noqa: S105 - of these tests
HOST = "http://localhost"
FEW = {"rate_failures": "3/hour", "host": "0.0.0.0"}  # noqa: S104 - so that rates are counted


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with closed reads, an admin's token, and no limit that these tests would meet."""
    access = closed(admin_token=Secret("ADMIN_TOKEN", (ADMIN_TOKEN,)))
    with store(tmp_path_factory.mktemp("sign-in"), access=access, rate_failures="") as found:
        found.do("/api/v1/global-tags", {"name": "T"})
        yield found


@pytest.fixture
def browser(made):
    """A browser that has never been here."""
    return made.app.test_client()


def form(browser):
    """Return the secret of the form that this browser is given."""
    html = browser.get("/sign-in").get_data(as_text=True)
    return re.search('name="condstore_form" value="([^"]*)"', html)[1]


def sign_in(browser, told, secret=None, **headers):
    """Fill the form in and send it, as a browser does."""
    sent = {"Origin": HOST, "Sec-Fetch-Site": "same-origin"} | headers
    sent = {name.replace("_", "-"): value for name, value in sent.items() if value is not None}
    fields = {"condstore_form": form(browser) if secret is None else secret, "token": told}
    return browser.post("/sign-in", data=fields, headers=sent)


def words(answer):
    """Return what a page says is wrong."""
    found = re.search('id="wrong">([^<]*)<', answer.get_data(as_text=True))
    return unescape(found[1]) if found else ""


def test_who_asks_for_a_page_is_led_to_where_one_signs_in(browser):
    """From each page; nobody says where to go on, so nobody can be led elsewhere."""
    for path in ("/", "/api/cdb_rest/web/", "/?next=//evil.example"):
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
        assert answer.headers["Cache-Control"] == "no-store"


def test_who_sends_a_header_is_told_that_it_is_no_good(browser):
    """A program does not want a form."""
    answer = browser.get("/", headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("prefix", ["", " ", "Bearer "])
def test_one_signs_in_and_out(browser, prefix):
    """The page then says who looks, and afterwards asks again."""
    entered = sign_in(browser, prefix + token(reader("T", "alice")))
    assert (entered.status_code, entered.headers["Location"]) == (303, "/")
    page = browser.get("/")
    assert page.status_code == 200
    assert "alice" in page.get_data(as_text=True)
    assert "alice" in browser.get("/sign-in").get_data(as_text=True)
    left = browser.post("/sign-out", data={"condstore_form": form(browser)})
    assert (left.status_code, left.headers["Location"]) == (303, "/")
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_cookies_are_for_this_site_alone(browser, scheme):
    """No script reads them, no other site has them sent, nor, over TLS, anybody who listens."""
    credential = token(reader("T"))
    secret = form(browser)
    browser.set_cookie("condstore_form", secret)
    answer = browser.post(
        "/sign-in",
        data={"condstore_form": secret, "token": credential},
        base_url=f"{scheme}://localhost",
    )
    (cookie,) = answer.headers.getlist("Set-Cookie")
    value, *flags = cookie.split("; ")
    assert unquote(value) == f"condstore_session={credential}"
    secure = {"Secure"} if scheme == "https" else set()
    assert {*flags} == {"HttpOnly", "Path=/", "SameSite=Strict"} | secure


def test_a_cookie_is_heeded_on_pages_only(made, browser):
    """By no other route of any contract, to read or to write; the table says which there are."""
    browser.set_cookie("condstore_session", token(ALL))
    pages = {"pages.status", "cdb_rest.pages"}
    for rule in made.app.url_map.iter_rules():
        path = re.sub("<[^>]*>", "T", rule.rule)
        for method in rule.methods - {"OPTIONS"}:
            answer = browser.open(path, method=method)
            if rule.endpoint in pages:
                assert answer.status_code == 200
            elif str(ROUTES[rule.endpoint]) != "Need.OPEN":
                assert answer.status_code == 401, path


def test_a_credential_that_ended_is_forgotten(made, browser):
    """The cookie is taken away, and one is asked to sign in again."""
    browser.set_cookie("condstore_session", token(reader("T"), expires_in=-3600))
    answer = browser.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert "condstore_session=;" in answer.headers["Set-Cookie"]
    assert browser.get("/sign-in").status_code == 200


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("nonsense", 401),
        (token(reader("T"))[:-3] + "AAA", 401),
        (token(reader("T"), expires_in=-3600), 401),
        ("cst_0123456789_" + "a" * 43, 401),
        ("", 400),
        ("two words", 400),
        (token({"sub": "nobody"}), 403),
        (token(reader("T") | {"more": "x" * 4000}), 413),
        (ADMIN_TOKEN, 400),
    ],
    ids=["nonsense", "forged", "expired", "unknown", "empty", "two", "no role", "long", "admin"],
)
def test_what_does_not_let_one_look_is_refused(browser, told, status):
    """With a page that says why, asks again, and never repeats it."""
    answer = sign_in(browser, told)
    assert answer.status_code == status
    assert words(answer)
    assert "condstore_session=" not in "".join(answer.headers.getlist("Set-Cookie")).replace(
        "condstore_session=;", ""
    )
    if told:
        assert told not in answer.get_data(as_text=True)
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


# forms that this site did not give this browser


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": None, "Origin": "https://evil.example"},
        {"Sec_Fetch_Site": None, "Origin": "null"},
        {"Sec_Fetch_Site": None, "Origin": "http://localhost.evil.example"},
        {"Sec_Fetch_Site": None, "Origin": "http://evil.example/localhost"},
    ],
)
def test_a_form_of_another_site_is_refused(browser, headers):
    """Whoever its secret is of, and whatever else it says."""
    names = {"Sec_Fetch_Site": "Sec-Fetch-Site"}
    sent = {names.get(name, name): value for name, value in headers.items()}
    answer = sign_in(browser, token(reader("T")), **sent)
    assert answer.status_code == 400
    assert "condstore_session" not in "".join(answer.headers.getlist("Set-Cookie"))


def test_a_browser_that_tells_little_signs_in(browser):
    """Old ones send neither header; the secret still must be theirs."""
    answer = sign_in(browser, token(reader("T")), **{"Sec-Fetch-Site": None, "Origin": None})
    assert answer.status_code == 303


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
@pytest.mark.parametrize("secret", ["", "A" * 43, "A" * 42, "ä" * 43])
def test_a_form_of_another_browser_is_refused(browser, path, secret):
    """Its secret is not this one's."""
    form(browser)
    browser.set_cookie("condstore_session", token(reader("T")))
    answer = browser.post(path, data={"condstore_form": secret, "token": token(reader("T"))})
    assert answer.status_code == 400
    assert browser.get("/").status_code == 200  # is signed in still


def test_a_form_without_its_cookie_is_refused(made):
    """Nor is one by which a cookie was set that is no secret."""
    for cookie in (None, "", "short"):
        browser = made.app.test_client()
        if cookie is not None:
            browser.set_cookie("condstore_form", cookie)
        told = {"condstore_form": cookie or "", "token": token(reader("T"))}
        assert browser.post("/sign-in", data=told).status_code == 400


def test_each_browser_has_its_own_secret(made):
    """And keeps it."""
    one, other = made.app.test_client(), made.app.test_client()
    assert form(one) == form(one) != form(other)


def test_a_form_is_small(browser):
    """Neither many fields nor much text is read."""
    form(browser)
    for body in ("&".join(f"a{n}=1" for n in range(1000)), "a=" + "x" * (1 << 17), b"\xff=\xfe"):
        answer = browser.post(
            "/sign-in", data=body, content_type="application/x-www-form-urlencoded"
        )
        assert answer.status_code in {400, 413}


def test_failures_are_counted(tmp_path):
    """On the form, by the cookie on a page, and by the cookie on the form: then it is too many."""
    with store(tmp_path, access=closed(), **FEW) as found:
        browser = found.app.test_client()
        assert sign_in(browser, "nonsense").status_code == 401
        for path in ("/", "/sign-in"):
            browser.set_cookie("condstore_session", "nonsense")
            assert browser.get(path).status_code in {303, 401}
        refused = sign_in(browser, "nonsense")
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert words(refused)
        browser.set_cookie("condstore_session", "nonsense")
        assert browser.get("/").status_code == 429
        assert sign_in(found.app.test_client(), token(reader("T"))).status_code == 303


def test_to_come_without_a_credential_is_no_failure(tmp_path):
    """Whoever only looks in is shown the form, however often."""
    with store(tmp_path, access=closed(), **FEW) as found:
        for _ in range(10):
            assert found.app.test_client().get("/").status_code == 303
