"""The provider as Airflow finds it, and the hook's word on a connection."""

import json
from importlib import resources
from urllib.parse import quote

import jsonschema
import pytest

from condstore.airflow.hook import CondstoreHook
from condstore.airflow.provider import get_provider_info


def test_airflow_finds_the_provider_and_tests_its_connection(home, connection):
    """With its hook, and the button that tests a connection, here as a command."""
    assert connection
    hooks = home.cli("providers", "hooks", "--output", "json")
    ((kind, path),) = [
        (row["connection_type"], row["class"])
        for row in json.loads(hooks.stdout)
        if row["connection_type"] == "condstore"
    ]
    assert (kind, path) == ("condstore", "condstore.airflow.hook.CondstoreHook")
    tested = home.cli("connections", "test", "condstore_default")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_the_form_of_a_connection_is_what_airflow_takes():
    """Airflow's own schema takes the provider's description."""
    schema = resources.files("airflow").joinpath("provider_info.schema.json").read_text()
    jsonschema.validate(get_provider_info(), json.loads(schema))
    assert set(CondstoreHook.get_ui_field_behaviour()) == {
        *("hidden_fields", "relabeling", "placeholders")
    }


@pytest.mark.parametrize("form", ["uri", "json"])
def test_a_connection_is_tested_in_either_form(store, monkeypatch, form):
    """A URI or JSON, with the ledger's position for an answer."""
    host, _, port = store.logic.url.removeprefix("http://").partition(":")
    told = {
        "uri": f"condstore://{host}:{port}/http",
        "json": json.dumps({"conn_type": "condstore", "host": host, "port": int(port)}),
    }
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", told[form])
    hook = CondstoreHook("elsewhere")
    works, words = hook.test_connection()
    assert works, words
    assert "takes writes" in words
    assert hook.get_conn().tags() == ()


def test_a_connection_without_a_server_fails_its_test_in_words(monkeypatch):
    """With the URL, and what to do."""
    monkeypatch.setenv("AIRFLOW_CONN_CONDSTORE_DEFAULT", "condstore://127.0.0.1:9")
    works, words = CondstoreHook().test_connection()
    assert not works
    assert "no condstore server answers at http://127.0.0.1:9" in words


def test_a_store_that_takes_no_writes_is_said_so(store, connection):
    """The databuffer is away: reads go on, and the test of the connection says what does not."""
    assert connection
    store.buffer.stop()
    works, words = CondstoreHook().test_connection()
    assert not works
    assert "databuffer" in words


def test_a_cache_of_the_connection_is_used(store, monkeypatch, tmp_path):
    """Payloads that one task read lie there for the next."""
    address = store.logic.url.removeprefix("http://")
    cache = tmp_path / "cache"
    uri = f"condstore://{address}?cache={quote(str(cache), safe='')}"
    monkeypatch.setenv("AIRFLOW_CONN_CONDSTORE_DEFAULT", uri)
    client = CondstoreHook().get_conn()
    digest = client.put_payload(b"kept").digest
    assert client.payload(digest) == b"kept"
    assert any(path.read_bytes() == b"kept" for path in cache.rglob("*") if path.is_file())
