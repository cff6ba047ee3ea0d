"""What all operators share: a connection, and which failures are worth another try."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator

from condstore.airflow.failures import told
from condstore.airflow.hook import DEFAULT_CONN_ID, Arguments, CondstoreHook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from condstore.airflow.connection import Store
    from condstore.results import Json


class CondstoreOperator(BaseOperator):
    """Act on the store that a connection names."""

    template_fields: Sequence[str] = ("condstore_conn_id",)
    ui_color = "#dcebe5"

    def __init__(self, *, condstore_conn_id: str = DEFAULT_CONN_ID, **kwargs: Arguments) -> None:
        super().__init__(**kwargs)
        self.condstore_conn_id = condstore_conn_id

    def execute(self, context: Context) -> Json:
        """Act; fail for good where trying again would not help."""
        with told():
            return self.act(CondstoreHook(self.condstore_conn_id).store(), context)

    @abstractmethod
    def act(self, store: Store, context: Context) -> Json:
        """Do it, and return what other tasks may want to know."""
