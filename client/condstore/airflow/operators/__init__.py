"""Operators: one act on the store each, and one that may be done again.

A task that is tried again after it succeeded succeeds again, with the same result: frozen stays
frozen, what stands in a tag is not inserted twice, what was streamed is not streamed twice.
"""

from condstore.airflow.operators.base import CondstoreOperator
from condstore.airflow.operators.payloads import (
    InsertIOVOperator,
    PullBundleOperator,
    StreamFilesOperator,
)
from condstore.airflow.operators.tags import (
    CloneTagOperator,
    FreezeTagOperator,
    UnfreezeTagOperator,
)

__all__ = [
    "CloneTagOperator",
    "CondstoreOperator",
    "FreezeTagOperator",
    "InsertIOVOperator",
    "PullBundleOperator",
    "StreamFilesOperator",
    "UnfreezeTagOperator",
]
