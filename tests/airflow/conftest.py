"""Airflow's tests run where Airflow is installed (`make test-airflow`) and nowhere else."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import airflow_home
import pytest
from logic_pair import pair

from condstore import Client

DAGS = Path(__file__).parents[2] / "client" / "dags"

try:
    version("apache-airflow-core")
    collect_ignore = ["dags"]  # they are Airflow's to import
except PackageNotFoundError:
    collect_ignore_glob = ["*"]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """An Airflow home with its database made."""
    return airflow_home.made(tmp_path_factory.mktemp("airflow") / "made")


@pytest.fixture
def home(made, tmp_path):
    """An Airflow home of the test's own, which has the DAGs of client/dags."""
    own = made.copied(tmp_path / "airflow")
    own.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
    return own


@pytest.fixture
def store(tmp_path):
    """Both tiers, running; a buffer of 20 000 bytes is full."""
    with pair(tmp_path, MAX_SIZE="20000") as both:
        yield both


@pytest.fixture
def client(store):
    """A client of them."""
    return Client(store.logic.url)


@pytest.fixture
def connection(store, monkeypatch):
    """The environment in which `condstore_default` leads to them, and the same size is enough."""
    host = store.logic.url.removeprefix("http://")
    uri = f"condstore://alice:a-long-token@{host}"
    monkeypatch.setenv("AIRFLOW_CONN_CONDSTORE_DEFAULT", uri)
    monkeypatch.setenv("MAX_SIZE", "20000")
    return uri
