"""The examples in the client's docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import condstore

MODULES = [found.name for found in pkgutil.iter_modules(condstore.__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_examples_hold(module):
    """Every `>>>` line answers as it says."""
    failed, _ = doctest.testmod(importlib.import_module(f"condstore.{module}"))
    assert failed == 0
