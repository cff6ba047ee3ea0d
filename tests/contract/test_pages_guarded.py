"""The pages run nothing that anybody put into a name, and no other site can use them."""

import re
from html.parser import HTMLParser

import pytest
from closed import closed, reader, store
from logic_fakes import FakeBuffer, small_app

from datastore_logic.web.page import visible

EVIL = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><b>', "{{7*7}}", "{%x%}",
    "${7*7}", "javascript:alert(1)", "\u202etxt.exe", "\u2066a\u2069", "&lt;b&gt;", "'onload='x",
)  # fmt: skip
PAGES = ("/", "/api/cdb_rest/web/", "/api/v1/docs", "/sign-in")
RUNS = {"script", "iframe", "object", "embed", "base", "applet", "frame", "portal", "style"}
LINKS = {"href", "src", "action", "formaction", "poster", "data", "srcset", "ping", "content"}


class Found(HTMLParser):
    """What a page consists of."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Keep an element and its attributes."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        """Keep what is read."""
        self.text.append(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store whose buffer has hostile names; tag names cannot be."""
    with store(tmp_path_factory.mktemp("pages")) as found:
        found.do("/api/v1/global-tags", {"name": "T", "description": EVIL[0], "author": EVIL[1]})
        for number, name in enumerate(EVIL):
            found.buffer.stored([number, 0], [number + 1, 0], name=name)
        found.buffer.freeze(b'{"user":"<script>u</script>\\u202e{{7*7}}"}', None)
        found.app.extensions["condstore.tier"].replica.pull()
        yield found


def pages(made):
    """Return every page, as one sees it who has signed in by header, or has not."""
    everything = {path: made.ask(reader(".*", EVIL[0]), path) for path in PAGES}
    everything["/sign-in, refused"] = made.ask(None, "/sign-in", {}, method="POST")
    client = made.app.test_client()
    client.set_cookie("condstore_session", EVIL[0])
    everything["/sign-in, with a hostile cookie"] = client.get("/sign-in")
    return everything


def test_every_page_is_looked_at(made):
    """Whatever answers HTML stands above."""
    for rule in made.app.url_map.iter_rules():
        if "GET" in rule.methods and not rule.arguments:
            answer = made.ask(reader(".*"), rule.rule)
            if answer.data and answer.content_type.startswith("text/html"):
                assert rule.rule in PAGES


def test_nothing_on_a_page_runs(made):
    """No script, no style, no handler, no link but to this site's own paths."""
    for path, answer in pages(made).items():
        page = Found(answer.get_data(as_text=True))
        assert not RUNS & {*page.tags}, path
        for name, value in page.attributes:
            assert not name.startswith("on"), path
            assert name not in {"style", "srcdoc"}, path
            if name in LINKS and name != "content":
                assert re.match(r"/(?!/)|#", value), (path, name, value)


def test_names_are_shown_as_they_are(made):
    """Not evaluated, not turned around: what cannot be seen is shown by its number."""
    page = Found(made.ask(reader(".*", EVIL[3]), "/").get_data(as_text=True))
    text = "".join(page.text)
    for name in EVIL:
        assert str(visible(name)) in text
    assert "\\u202etxt.exe" in text
    assert "49" not in text.replace("{{7*7}}", "")
    assert not set("\u202e\u2066\u2069") & set(text)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_guarded(made, path):
    """By the strictest policy that shows it; form-action is this site's on one page only."""
    headers = made.ask(reader(".*"), path).headers
    policy = dict(part.strip().partition(" ")[::2] for part in
                  headers["Content-Security-Policy"].split(";"))  # fmt: skip
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'" if path == "/sign-in" else "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
    kept = headers["Cache-Control"]
    assert kept == ("no-cache" if path == "/api/v1/docs" else "no-store")


@pytest.mark.parametrize(
    "path", ["/api/v1/global-tags", "/bufstat", "/livez", "/nothing", "/dumpf"]
)
def test_what_is_no_page_is_none(made, path):
    """A browser that took it for one would load nothing and show it in no frame."""
    headers = made.ask(reader(".*"), path).headers
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert not headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("word", EVIL)
def test_what_is_asked_comes_back_in_no_page(made, word):
    """Neither search words nor a request's own name for itself."""
    searched = made.ask(reader(".*"), f"/?search={word}", X_Request_Id=repr(word))
    assert word not in searched.get_data(as_text=True).replace(str(visible(word)), "")
    assert re.fullmatch("[a-f0-9]{16}", searched.headers["X-Request-Id"])
    found = made.ask(reader(".*"), "/api/v1/global-tags", method="GET", X_Request_Id=repr(word))
    assert found.content_type == "application/json"


def test_the_page_shows_what_its_reader_may_see(made):
    """Other tags and the buffer are left out; it says who looks."""
    html = made.ask(reader("U", "al<b>ice"), "/").get_data(as_text=True)
    assert "al&lt;b&gt;ice" in html
    assert "Streaming buffer" not in html
    assert ">T<" not in html
    assert "/api/v1/global-tags" not in html


def test_what_waits_to_be_frozen_leads_nowhere_who_signed_in_cannot_go(tmp_path):
    """The cookie opens no API, so a link there would be a 401."""
    with store(tmp_path, access=closed(freeze_approvals=2)) as found:
        found.do("/api/v1/global-tags", {"name": "T"})
        found.do("/api/v1/global-tags/T/freeze", {"reason": "summer talks"})
        html = found.ask(reader(".*"), "/").get_data(as_text=True)
        assert "summer talks" in html
        assert "<bdi>root</bdi>" in html
        assert "/api/v1/global-tags" not in html


def test_the_page_is_open_where_reads_are(tmp_path):
    """Nobody signs in, and names lead to the API."""
    with small_app(tmp_path, FakeBuffer()) as app:
        app.extensions["condstore.tier"].buffer.write("tag.created", {"tag": "T"}, "tag/T")
        app.extensions["condstore.tier"].replica.pull()
        html = app.test_client().get("/").get_data(as_text=True)
        assert 'href="/api/v1/global-tags/T"' in html
        assert "sign out" not in html
        for method, path in (("GET", "/sign-in"), ("POST", "/sign-in"), ("POST", "/sign-out")):
            answer = app.test_client().open(path, method=method)
            assert (answer.status_code, answer.headers["Location"]) == (303, "/")
