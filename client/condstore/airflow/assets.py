"""A frozen tag as an asset: `condstore://host:port/TAG`, each freeze an event with `TAG@fp`.

A DAG may be scheduled on one tag, `Asset("condstore://conditions.example.org:5000/2026-prompt")`,
or on every freeze, `AssetAlias("condstore-frozen")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from airflow.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from airflow.sdk import Context

    from condstore.airflow.connection import Store
    from condstore.results import Json, TagFrozen

SCHEME: Final = "condstore"
FROZEN: Final = "condstore-frozen"
"""The alias that every freeze is published under."""


def asset_of(tag: str, url: str) -> Asset:
    """Return the asset of a tag in the store at `url`.

    >>> asset_of("2026-prompt", "http://conditions.example.org:5000").uri
    'condstore://conditions.example.org:5000/2026-prompt'
    """
    host = urlsplit(url).netloc.rpartition("@")[2]  # without a password, which everybody would see
    return Asset(f"{SCHEME}://{host}/{quote(tag, safe=':+~')}")


def normalised(parts: SplitResult) -> SplitResult:
    """Return an asset's URI in its one form; raise `ValueError` if it names no tag of a store."""
    if not parts.netloc or not parts.path.strip("/") or parts.path.count("/") > 1:
        raise ValueError(f"{parts.geturl()!r} is no frozen tag: write condstore://host:port/TAG")
    return parts._replace(netloc=parts.netloc.lower(), query="")


def publish(frozen: TagFrozen, store: Store, context: Context) -> None:
    """Record the freeze as an event of the task's outlets, `TAG@fingerprint` among its extra.

    The tag's own asset gets one event: its own if it is an outlet, else by way of the alias.
    """
    told: dict[str, Json] = {
        "reference": frozen.reference,
        "tag": frozen.tag,
        "fingerprint": frozen.fingerprint,
        "lsn": frozen.lsn,
    }
    ours = asset_of(frozen.tag, store.urls[0])
    events, outlets = context["outlet_events"], context["task"].outlets
    assets = [outlet for outlet in outlets if isinstance(outlet, Asset)]
    for asset in assets:
        events[asset].extra.update(told)
    if ours.uri not in {asset.uri for asset in assets}:
        for alias in (outlet for outlet in outlets if isinstance(outlet, AssetAlias)):
            events[alias].add(ours, extra=told)
