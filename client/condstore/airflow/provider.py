"""What Airflow is told of this package when it starts; imports nothing of either."""

from __future__ import annotations

from typing import Any

_HERE = "condstore.airflow"
_NAME = "condstore"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description (entry point `apache_airflow_provider`)."""
    return {
        "package-name": _NAME,
        "name": _NAME,
        "description": "Conditions data: stream, tag, freeze, resolve, pull offline bundles.",
        "integrations": [
            {"integration-name": _NAME, "external-doc-url": "", "tags": ["service"]},
        ],
        "connection-types": [_connection_type()],
        "asset-uris": [{"schemes": [_NAME], "handler": f"{_HERE}.assets.normalised"}],
        "hooks": _modules("hook"),
        "operators": _modules("operators"),
        "sensors": _modules("sensors"),
        "triggers": _modules("triggers"),
    }


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": _NAME, "python-modules": [f"{_HERE}.{name}" for name in names]}]


def _connection_type() -> dict[str, Any]:
    return {
        "connection-type": _NAME,
        "hook-class-name": f"{_HERE}.hook.CondstoreHook",
        "hook-name": _NAME,
        "ui-field-behaviour": {
            "hidden-fields": ["extra"],
            "relabeling": {"schema": "http or https", "login": "User", "password": "Token"},
            "placeholders": {
                "host": "conditions.example.org",
                "port": "5000",
                "schema": "http",
                "login": "who acts, where the store takes everybody's word",
                "password": "cst_…, or a JSON Web Token",
            },
        },
        "conn-fields": {
            "urls": _field(
                "Replicas",
                "Further base URLs of the same store, separated by commas: "
                "http://b.example.org:5000, http://c.example.org:5000",
            ),
            "cache": _field("Cache", "A directory for payloads, shared by the tasks of a worker"),
        },
    }


def _field(label: str, description: str) -> dict[str, Any]:
    text = {"type": ["string", "null"]}
    return {"label": label, "description": description, "schema": text}
