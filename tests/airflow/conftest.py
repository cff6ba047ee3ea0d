"""Airflow's tests run where Airflow is installed (`make test-airflow`) and nowhere else."""

from importlib.metadata import PackageNotFoundError, version

try:
    version("apache-airflow-core")
except PackageNotFoundError:
    collect_ignore_glob = ["*"]
