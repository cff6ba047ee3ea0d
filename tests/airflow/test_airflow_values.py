"""What the provider makes of a connection, a watch, a run range: values, no Airflow running."""

import doctest
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.sdk import Asset, Connection
from hypothesis import given
from hypothesis import strategies as st

from condstore.airflow.assets import asset_of
from condstore.airflow.connection import Store
from condstore.airflow.covering import first_gap
from condstore.airflow.twin import Twin
from condstore.errors import UsageError
from condstore.moments import Moment
from datastore_logic.config import Config

DAGS = Path(__file__).parents[2] / "client" / "dags"
MANIFESTS = Path(__file__).parents[2] / "k8s"
PARSED = """
import sys, trainpipe, campaign
heavy = {"aiohttp", "numpy", "h5py", "condstore.producer", "condstore.bundle", "condstore.cli"}
sys.exit(", ".join(heavy & set(sys.modules)) or None)
"""
MODULES = ["assets", "covering", "triggers", "twin", "watches", "written"]


@pytest.mark.parametrize("module", MODULES)
def test_examples_hold(module):
    """Every `>>>` line answers as it says, and there is one."""
    failed, tried = doctest.testmod(importlib.import_module(f"condstore.airflow.{module}"))
    assert (failed, tried > 0) == (0, True)


def store(uri):
    """Return what a connection's URI says."""
    return Store.of(Connection.from_uri(uri, conn_id="c"))


@pytest.mark.parametrize(
    ("uri", "urls"),
    [
        ("condstore://a.example", ("http://a.example:5000",)),
        ("condstore://a.example:81", ("http://a.example:81",)),
        ("condstore://a.example:443/https", ("https://a.example:443",)),
        ("condstore://https://a.example", ("https://a.example",)),
        ("condstore://https://a.example:8443", ("https://a.example:8443",)),
        (
            "condstore://a.example?urls=http%3A%2F%2Fb%3A5000%2C+http%3A%2F%2Fc%3A5000",
            ("http://a.example:5000", "http://b:5000", "http://c:5000"),
        ),
    ],
)
def test_a_connections_uri_says_where_the_replicas_are(uri, urls):
    """Port 5000 and http where nothing is said; further replicas come after."""
    assert store(uri).urls == urls


def test_the_manifests_connection_leads_to_their_service():
    """What Airflow's pods get in Kubernetes is a connection without a password; a file has that."""
    lines = (MANIFESTS / "overlays/producers/airflow.env").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    found = store(told["AIRFLOW_CONN_CONDSTORE_DEFAULT"])
    assert (found.urls, found.token) == (("http://dslogic.condstore:5000",), None)
    assert told["CONDSTORE_TOKEN_FILE"].startswith("/run/secrets/condstore/")


def test_a_connections_json_says_the_same():
    """`AIRFLOW_CONN_…` may be JSON; then `urls` may be a list."""
    text = {
        "conn_type": "condstore",
        "host": "a.example",
        "login": "alice",
        "password": "s3cret-token",
        "extra": {"urls": ["http://b:5000"], "cache": "/var/cache/condstore"},
    }
    found = Store.of(Connection.from_json(json.dumps(text), conn_id="c"))
    assert found.urls == ("http://a.example:5000", "http://b:5000")
    assert (str(found.cache), found.user) == ("/var/cache/condstore", "alice")
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("condstore://", "no host"),
        ("condstore://a.example/ftp", "not http or https"),
        ("condstore://a.example?urls=b%3A5000", "urls"),
        ("condstore://a.example?cache=here", "not an absolute path"),
    ],
)
def test_a_wrong_connection_is_named_with_its_field(uri, words):
    """Whoever reads the task's log at night sees which connection, and what of it."""
    with pytest.raises(UsageError, match=f"connection 'c'.*{words}"):
        store(uri)


bounds = st.tuples(st.integers(0, 20), st.integers(1, 8))


@given(st.lists(bounds, max_size=8), st.integers(0, 20), st.integers(1, 10))
def test_the_first_gap_is_what_counting_moments_finds(pieces, begin, length):
    """Compared with looking at each moment of the range."""
    end = begin + length
    held = sorted((start, start + width) for start, width in pieces)
    covered = [any(a <= at < b for a, b in held) for at in range(begin, end)]
    found = first_gap(
        [(Moment(a), Moment(b)) for a, b in held if b > begin and a < end],
        Moment(begin),
        Moment(end),
    )
    if all(covered):
        assert found is None
    else:
        first = covered.index(False)
        length = next((i for i, on in enumerate(covered[first:]) if on), len(covered) - first)
        assert found == (Moment(begin + first), Moment(begin + first + length))


def test_an_assets_uri_has_one_form():
    """Airflow asks the provider: a host's letters are small, a last slash is none."""
    assert Asset("condstore://A.example:5000/O4/").uri == "condstore://a.example:5000/O4"
    assert asset_of("O4", "http://a.example:5000").uri == "condstore://a.example:5000/O4"
    assert asset_of("O4/../x", "http://a").uri == "condstore://a/O4%2F..%2Fx"
    assert asset_of("O4", "http://bob:s3cret@a").uri == "condstore://a/O4"


@pytest.mark.parametrize("uri", ["condstore://a.example", "condstore:///O4", "condstore://a/b/c"])
def test_an_asset_that_is_no_tag_is_refused(uri):
    """When the DAG is parsed, so that nobody waits for an event that never comes."""
    with pytest.raises(ValueError, match="condstore://host:port/TAG"):
        Asset(uri)


def test_enough_is_as_much_as_at_the_server():
    """Where neither is told MAX_SIZE, the DAG waits for what the logic tier asks."""
    assert Twin.from_environ({}).max_size == Config().max_size
    with pytest.raises(UsageError, match="MAX_SIZE='much'"):
        Twin.from_environ({"MAX_SIZE": "much"})


def test_a_dag_is_parsed_without_what_only_its_tasks_need():
    """The DAG processor reads every file again and again: no slow import."""
    done = subprocess.run(
        [sys.executable, "-c", PARSED], cwd=DAGS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
