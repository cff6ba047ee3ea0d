"""The examples in the docstrings of the v1 API are true."""

import doctest
import importlib
import pkgutil

import pytest

from datastore_logic.web import v1

MODULES = [found.name for found in pkgutil.iter_modules(v1.__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_examples_hold(module):
    """Every `>>>` line answers as it says."""
    failed, _ = doctest.testmod(importlib.import_module(f"{v1.__name__}.{module}"))
    assert failed == 0
