"""The OpenAPI document says what the service does: both are held against each other."""

import json
import re
import zlib
from pathlib import Path
from urllib.parse import unquote

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from logic_pair import pair
from long import LONG, at_length
from schemathesis.specs.openapi.checks import positive_data_acceptance

import datastore_logic
from datastore_logic.access.roles import Role
from datastore_logic.access.routes import ROUTES as NEEDS
from datastore_logic.access.routes import Need
from datastore_logic.app import create_app
from datastore_logic.config import Config
from datastore_logic.domain.errors import DomainError
from datastore_logic.errors import LogicError, status_of
from datastore_logic.web.v1 import ROUTES

PATH = Path(datastore_logic.__file__).with_name("openapi.json")
DOCUMENT = json.loads(PATH.read_text())
OPERATIONS = {
    (method.upper(), path): told
    for path, methods in DOCUMENT["paths"].items()
    for method, told in methods.items()
}
ROOT = "r" * 32
OPEN, LOCKED, FROZEN, GONE = "data_2026-prompt", "locked", "frozen", "gone"
IOVS = [
    {"payload_type": "Beam", "start": [1, 0], "end": [5, 0], "name": "b1"},
    {"payload_type": "Beam", "start": [7, 0], "name": "b7", "checksum": "md5:1", "size": 3},
    {"payload_type": "Noise", "start": [0, 0], "name": "n0", "revision": 2},
]

CONFIG = schemathesis.Config.from_dict(
    {
        "generation": {
            "allow-extra-parameters": False,  # any header may come along
            "with-security-parameters": False,  # every case comes with a good credential
        },
        "checks": {
            "negative_data_rejection": {"expected-statuses": [400, 401, 404, 405, 409, 414]}
        },
    }
)
schema = schemathesis.openapi.from_path(PATH, config=CONFIG)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers."""
    with pair(
        tmp_path_factory.mktemp("openapi"), ADMIN_TOKEN=ROOT, RATE_FAILURES="none"
    ) as running:
        running.token = ROOT
        yield running


@pytest.fixture
def known(both):
    """Put a tag into each state, so that what one operation left is not all the next one meets."""
    tags = "/api/v1/global-tags"
    for name in (OPEN, LOCKED, FROZEN, GONE):
        both.post(tags, json.dumps({"name": name}))
        both.post(f"{tags}/{name}/unfreeze", '{"reason": "again"}')
        both.post(f"{tags}/{name}/unlock")
        assert both.post(f"{tags}/{name}/iovs", json.dumps({"iovs": IOVS})).status in {200, 201}
    both.post("/api/v1/payloads", b"beam")
    both.post("/api/v1/payload-lists", '{"payload_type": "Beam"}')
    both.ask("DELETE", f"{tags}/{GONE}")
    both.post(f"{tags}/{LOCKED}/lock")
    mark = both.post(f"{tags}/{FROZEN}/freeze").json()["fingerprint"]
    REFS[:] = [*TAGS, f"{FROZEN}@{mark}", f"{OPEN}@7", f"{GONE}@3"]
    return both


TAGS = [OPEN, LOCKED, FROZEN, GONE]
REFS = list(TAGS)
TYPES = ["Beam", "Noise", "None"]
LISTS = ["Beam_1", "Noise_2", "Beam_9", "Beam_99"]


def led_home(case):
    """Let three in four sound names be of what is there; what is unsound stays as it is."""
    as_of = "as_of" in (case.query or {})
    tags = TAGS if as_of or takes_names_only(case.operation) else REFS
    for name, values in {"tag": tags, "payload_type": TYPES, "payload_list": LISTS}.items():
        told = unquote(str((case.path_parameters or {}).get(name, "")))
        if re.fullmatch(r"\w[\w.:+~-]*(@[0-9a-f]+)?", told, re.ASCII):
            drawn = zlib.crc32(told.encode())
            known = values[drawn // 4 % len(values)] if drawn % 4 else told
            case.path_parameters[name] = known.partition("@")[0] if as_of else known
    mended(case.query or {}, "user", "alice", lambda told: len(told) <= 200)
    mended(case.headers or {}, "X-Min-LSN", "5", lambda told: told.isdigit() and len(told) <= 19)


def mended(told, name, value, is_sound):
    """Put what is sound, and yet cannot be, right: no schema can say what is printable."""
    if is_sound(str(told.get(name, ""))) and name in told:
        told[name] = value


def takes_names_only(operation):
    """Return whether it takes a tag's name, and no state of it."""
    told = OPERATIONS[operation.method.upper(), operation.path]["parameters"]
    return {"$ref": "#/components/parameters/Tag"} in told


@schema.parametrize()
@settings(
    max_examples=at_length(5, 200),
    deadline=None,
    derandomize=not LONG,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_what_the_document_says(case, known):
    """Whatever is asked, sound or not, in whatever state the tag is; and it is never a 500."""
    led_home(case)
    # That an end comes after its start, no schema can say; so some sound requests are refused.
    excluded = [positive_data_acceptance]
    case.call_and_validate(
        base_url=f"{known.logic.url}/api/v1",
        headers={"Authorization": f"Bearer {ROOT}"},
        excluded_checks=excluded,
    )


def test_every_route_is_documented_and_every_documented_one_is_there():
    """Paths and methods of the document and of the application are the same."""
    served = {
        (method, re.sub(r"<([^>]+)>", r"{\1}", rule.rule.removeprefix("/api/v1")))
        for rule in create_app(Config()).url_map.iter_rules()
        if rule.endpoint.startswith("v1.")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert served == set(OPERATIONS) - {("HEAD", "/payloads/sha256/{hexdigits}")}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_the_document_names_what_each_operation_needs(route):
    """The role of access/routes.py, and whether it needs a credential where reads are open."""
    told = OPERATIONS[route.method, re.sub(r"<([^>]+)>", r"{\1}", route.path)]
    need = NEEDS[f"v1.{route.handler.__name__}"]
    if need is Need.OPEN:
        assert "security" not in told
    elif need is Need.VERIFIED:
        assert told["security"] == [{"bearer": []}]
    else:
        assert told["x-role"] == (Role.READER if need is Need.READ else need)
        assert told["security"] == ([{}] if need is Need.READ else []) + [{"bearer": []}]
        assert {"401", "403", "429"} <= told["responses"].keys()


def test_the_headers_alone_need_what_the_bytes_need():
    """HEAD is no way around GET, in the document neither."""
    heads = [path for method, path in OPERATIONS if method == "HEAD"]
    assert heads
    for path in heads:
        head, get = OPERATIONS["HEAD", path], OPERATIONS["GET", path]
        assert (head["security"], head["x-role"]) == (get["security"], get["x-role"])
        assert head["responses"].keys() == get["responses"].keys()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_the_document_names_every_parameter_of_the_url(route):
    """What the service takes in a query is what the document has."""
    told = OPERATIONS[route.method, re.sub(r"<([^>]+)>", r"{\1}", route.path)]
    found = [resolved(parameter) for parameter in told["parameters"]]
    assert sorted(route.query) == sorted(each["name"] for each in found if each["in"] == "query")


def test_every_example_is_what_its_schema_says():
    """Bodies, answers, parameters and headers alike."""
    seen = 0
    for where, schema_, example in examples(DOCUMENT, ()):
        whole = {"allOf": [schema_], "components": DOCUMENT["components"]}
        problems = list(jsonschema_rs.Draft202012Validator(whole).iter_errors(example))
        assert not problems, (where, problems)
        seen += 1
    assert seen > 50


def test_every_code_is_explained():
    """What the service may say for programs is in the document, under the status it comes with."""
    told = {
        (int(status), code) for status, codes in DOCUMENT["x-error-codes"].items() for code in codes
    }
    raised = {
        (status_of(kind.__new__(kind)), kind.code)
        for root in (LogicError, DomainError)
        for kind in below(root)
        if kind.code not in NEVER_TOLD
    }
    assert {(status, code) for status, code in raised if status != 500} <= told
    assert {code for _, code in told - raised} == OF_HTTP | {f"{what}_not_found" for what in WHATS}


NEVER_TOLD = {
    "error", "domain_error", "bad_value", "state_forbids", "precondition_failed",
    "lsn_beyond_head", "broken_chain", "ledger_entry", "ledger_damaged",
}  # fmt: skip
OF_HTTP = {
    "not_found", "method_not_allowed", "request_uri_too_long", "range_not_satisfiable",
    "volume_full",
}  # fmt: skip
WHATS = ["tag", "payload_type", "payload_list", "payload_iov", "payload", "lsn", "token"]


def below(kind):
    """Yield the class and all that descend from it."""
    yield kind
    for each in kind.__subclasses__():
        yield from below(each)


def test_the_document_is_served_as_it_is(both):
    """With an ETag; again: 304."""
    answer = both.ask("GET", "/api/v1/openapi.json")
    assert answer.json() == DOCUMENT
    assert answer.headers["Content-Type"] == "application/json"
    again = both.ask("GET", "/api/v1/openapi.json", If_None_Match=answer.headers["ETag"])
    assert (again.status, again.data) == (304, b"")


def test_the_page_names_every_operation_and_runs_nothing(both):
    """Strict CSP, no script, nothing inline; every operation, schema and code can be linked to."""
    answer = both.ask("GET", "/api/v1/docs")
    html = answer.data.decode()
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "<script" not in html
    assert "style=" not in html
    anchors = set(re.findall(r' id="([^"]+)"', html))
    assert {told["operationId"] for told in OPERATIONS.values()} <= anchors
    assert set(re.findall(r'href="#([^"]+)"', html)) <= anchors


def resolved(told):
    """Return what a `$ref` of the document points to."""
    found = DOCUMENT
    for part in told.get("$ref", "#").removeprefix("#").split("/")[1:]:
        found = found[part]
    return found if "$ref" in told else told


def examples(node, where):
    """Yield where, the schema and the example of whatever has both."""
    if isinstance(node, dict):
        if "schema" in node and "example" in node:
            yield "/".join(where), node["schema"], node["example"]
        for name, inner in node.items():
            yield from examples(inner, (*where, name))
    elif isinstance(node, list):
        for at, inner in enumerate(node):
            yield from examples(inner, (*where, str(at)))
