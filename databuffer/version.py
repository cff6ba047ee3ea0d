"""Which version this is, as it was installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed() -> str:
    """Return the version of the distribution, `unknown` where this runs from bare files."""
    try:
        return version("condstore")
    except PackageNotFoundError:
        return "unknown"
