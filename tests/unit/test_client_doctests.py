"""The examples in the client's docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import condstore

MODULES = [
    found.name
    for found in pkgutil.walk_packages(condstore.__path__, "condstore.")
    if not found.name.startswith("condstore.airflow.")  # its tests are where Airflow is
    and not found.name.endswith("__main__")
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_hold(module):
    """Every `>>>` line answers as it says."""
    failed, _ = doctest.testmod(importlib.import_module(module))
    assert failed == 0
