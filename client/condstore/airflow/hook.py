"""The hook: from a connection of Airflow's to a `condstore.Client`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from airflow.sdk import BaseHook

from condstore.airflow.connection import Store
from condstore.airflow.provider import get_provider_info
from condstore.errors import CondstoreError
from condstore.retry import ONCE
from condstore.transport import Timeouts

if TYPE_CHECKING:
    from condstore.client import Client

DEFAULT_CONN_ID: Final = "condstore_default"
Arguments: TypeAlias = Any
"""What else an operator is given: Airflow's own arguments, of many types."""

_SOON: Final = Timeouts(connect=3, silent=10)


class CondstoreHook(BaseHook):
    """Give the client of the store that a connection names (`condstore.airflow.connection`)."""

    conn_name_attr = "condstore_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "condstore"
    hook_name = "condstore"

    def __init__(self, condstore_conn_id: str = DEFAULT_CONN_ID) -> None:
        super().__init__()
        self.condstore_conn_id = condstore_conn_id

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the form of a connection is labelled."""
        behaviour = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
        return {name.replace("-", "_"): value for name, value in behaviour.items()}

    def get_conn(self) -> Client:
        """Return the client; raise `UsageError` naming what is wrong with the connection."""
        return self.store().client()

    def store(self) -> Store:
        """Return what the connection says."""
        return Store.of(self.get_connection(self.condstore_conn_id))

    async def astore(self) -> Store:
        """Return what the connection says, without holding the loop of a triggerer."""
        return Store.of(await self.aget_connection(self.condstore_conn_id))

    def test_connection(self) -> tuple[bool, str]:
        """Say whether a store answers there and takes writes, for the button in Airflow's page."""
        try:
            with self.store().client(ONCE, _SOON) as client:
                ready = client.readiness()
        except CondstoreError as error:
            return False, str(error)
        if not ready.ready:
            return False, f"{client.url} is not ready: {ready.detail or 'its view catches up'}"
        writes = "takes writes" if ready.writes else "takes no writes now (databuffer away)"
        return ready.writes, f"{client.url} answers and {writes}; ledger at LSN {ready.lsn}"
