"""The digital twin's `Trainpipe`: freeze the streaming buffer once it is full, then preprocess it.

    train ── WAITING ──> wait_for_data ──> train_again ──┐
       └──── FROZEN ─────────────────────────────────────┴──> frozen ──> preprocess

`train` asks for the freeze and is told WAITING or FROZEN, and then of what: who cleans the buffer
after that takes nothing away. `wait_for_data` waits in the triggerer until the buffer holds
MAX_SIZE bytes. `frozen` publishes the training set, `stream@<fingerprint>`, as an asset event; it
freezes nothing itself. `preprocess` reads the segments of exactly that, through the library.

The twin's variables are honoured: DS_BURL, DS_FREEZE, DS_STAT, DS_DESC, DS_DUMPF, MAX_SIZE; without
DS_BURL the connection `condstore_default` says where. Its login is the user that freezes, its
password the token that says who asks, wherever that is. Every task may be tried again: what is
frozen answers FROZEN, as it did before.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException

from condstore.airflow.hook import CondstoreHook
from condstore.airflow.operators import FreezeTagOperator
from condstore.airflow.sensors import BufferFilledSensor
from condstore.airflow.twin import Twin

if TYPE_CHECKING:
    from condstore.client import Client

TWIN = Twin.from_environ(os.environ)
FROZEN_AS = (
    "{{ ti.xcom_pull('train').get('reference') or ti.xcom_pull('train_again')['reference'] }}"
)
PARAMS = {
    "stream_tag": Param(
        os.environ.get("STREAM_TAG", "stream"),
        type="string",
        description="the global tag that the streaming buffer is",
    ),
    "output": Param(
        None,
        type=["null", "string"],
        description="where preprocess writes its summary, a path; without it, only its XCom has it",
    ),
}


@dataclass(slots=True)
class Summary:
    """What a training starts from: how much there is of a channel, and how loud it is.

    `power` is the sum of the squares; `others` are payloads of this type that are no segments.
    """

    payload_type: str
    segments: int = 0
    samples: int = 0
    power: float = 0.0
    others: int = 0

    @classmethod
    def of(cls, client: Client, reference: str, payload_type: str) -> Summary:
        """Read every segment of a channel, one at a time, each checked against its digest."""
        summary = cls(payload_type)
        for iov in client.iovs(reference, payload_type):
            samples = samples_of(client.payload(iov))
            summary.others += samples is None
            summary.segments += samples is not None
            summary.samples += len(samples or ())
            summary.power += math.fsum(value * value for value in samples or ())
        return summary


def samples_of(content: bytes) -> list[float] | None:
    """Return a segment's samples; None if the payload is something else."""
    try:
        found = orjson.loads(content)["h"]
    except (ValueError, TypeError, KeyError):
        return None
    return found if isinstance(found, list) else None


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def trained(stream_tag: str) -> dict[str, Any]:
    """Ask for the freeze; name what is frozen, whoever froze it."""
    store = CondstoreHook().store()
    answer = TWIN.train(store)
    if answer["resp"] == "FROZEN":
        tag = store.client().tag(stream_tag).tag
        if tag.fingerprint is None:
            raise AirflowException(f"{tag.name} was frozen, and is {tag.state} again: asking anew")
        answer["reference"] = tag.reference
    return answer


@dag(
    dag_id="Trainpipe",
    schedule=None,
    catchup=False,
    max_active_runs=1,  # there is one buffer
    params=PARAMS,
    doc_md=__doc__,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=5),
    },
    tags=["condstore", "digital twin"],
)
def trainpipe() -> None:
    """Freeze, wait, preprocess."""

    @task
    def train() -> dict[str, Any]:
        return trained(get_current_context()["params"]["stream_tag"])

    @task.branch
    def branch(answer: dict[str, Any]) -> str:
        return "wait_for_data" if answer["resp"] == "WAITING" else "frozen"

    @task(retries=10)
    def train_again() -> dict[str, Any]:
        answer = trained(get_current_context()["params"]["stream_tag"])
        if answer["resp"] != "FROZEN":
            raise AirflowException(
                f"WAITING still: somebody cleaned the buffer, or MAX_SIZE is {TWIN.max_size} here "
                "and more at the server"
            )
        return answer

    @task
    def preprocess(reference: str) -> dict[str, Any]:
        """Put your own here.

        To run the twin's image instead, replace this task with a KubernetesPodOperator that mounts
        the volume's `data/` and is given `reference`; TWIN.files() names the files.
        """
        client = CondstoreHook().get_conn()
        lists = client.tag(reference).payload_lists
        found = [Summary.of(client, reference, held.payload_type) for held in lists]
        summary = {"reference": reference, "payload_types": [asdict(one) for one in found]}
        output = get_current_context()["params"]["output"]
        if output:
            write(Path(output), orjson.dumps(summary, option=orjson.OPT_INDENT_2))
        return summary

    wait_for_data = BufferFilledSensor(
        task_id="wait_for_data",
        at_least=TWIN.max_size,
        url=TWIN.url,
        stat=TWIN.stat,
        desc=TWIN.desc,
        poke_interval=10,
        timeout=timedelta(days=7),
    )
    frozen = FreezeTagOperator(
        task_id="frozen",
        tag=FROZEN_AS,
        trigger_rule="none_failed_min_one_success",
    )
    answer: Any = train()  # what is Any here has its value when the task runs
    reference: Any = frozen.output
    chosen = branch(answer)
    chosen >> wait_for_data >> train_again() >> frozen
    chosen >> frozen
    preprocess(reference)


trainpipe()
