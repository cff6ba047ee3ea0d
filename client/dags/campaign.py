"""A reprocessing campaign: check a tag, freeze it, pull a bundle, run jobs from it, verify.

    check ──> freeze ──> runs ──> pull ──┬─> job 0 ─┐
                          └────> plan ───┼─> job 1 ─┼──> verify
                                         └─> …     ─┘

`check` refuses a tag with a gap or a missing payload, in words. `freeze` publishes
`TAG@fingerprint` as an asset event. Each job walks through its part of the runs with the bundle
alone: no server, no network. `verify` walks through the same online and demands the same answers.

Parameters: `tag`; `begin` and `end`, the runs (without them, what the tag's lists have); `jobs`;
and `folder`, where bundles go, which the workers share. Every task may be tried again.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from condstore import Client, Moment
from condstore.airflow.failures import told
from condstore.airflow.findings import in_words
from condstore.airflow.hook import CondstoreHook
from condstore.airflow.operators import FreezeTagOperator, PullBundleOperator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from condstore.moments import When
    from condstore.results import Resolution, TagContent

WRITTEN = "1200, 1200:17 or 968654552.25"
PARAMS = {
    "tag": Param("2026-prompt", type="string", minLength=1, description="the global tag"),
    "begin": Param(None, type=["null", "string", "integer"], description=WRITTEN),
    "end": Param(None, type=["null", "string", "integer"], description=WRITTEN),
    "jobs": Param(4, type="integer", minimum=1, maximum=1000),
    "folder": Param("/var/lib/condstore/bundles", type="string", description="where bundles go"),
}


def bounds_of(content: TagContent, begin: When | None, end: When | None) -> tuple[Moment, Moment]:
    """Return the campaign's [begin, end): as asked for, else from first to last of the tag."""
    starts = [held.begin for held in content.payload_lists if held.begin is not None]
    bounds = [*starts, *(held.end for held in content.payload_lists if held.end is not None)]
    first = min(starts, default=Moment(0)) if begin is None else Moment.of(begin)
    last = max(bounds, default=first) if end is None else Moment.of(end)
    if not first < last:
        raise AirflowFailException(f"no runs from {first.pair()} to {last.pair()}: give an `end`")
    return first, last


def parts(begin: Moment, end: Moment, jobs: int) -> list[tuple[Moment, Moment]]:
    """Return [begin, end) in at most so many parts without gap or overlap.

    >>> [(a.major, b.major) for a, b in parts(Moment(0), Moment(10), 3)]
    [(0, 3), (3, 6), (6, 10)]
    """
    width = end.major - begin.major
    cuts = [Moment(begin.major + width * job // jobs) for job in range(1, jobs)]
    bounds = [begin, *sorted({cut for cut in cuts if begin < cut < end}), end]
    return list(pairwise(bounds))


def walk(client: Client, reference: str, begin: Moment, end: Moment) -> Iterator[Resolution]:
    """Yield what holds, asking anew only where the answer changes."""
    moment: Moment | None = begin
    while moment is not None and moment < end:
        found = client.resolve(reference, moment)
        yield found
        moment = found.until


def answers(client: Client, reference: str, begin: Moment, end: Moment) -> dict[str, Any]:
    """Return how many answers a walk met and a digest over them, whoever gave them."""
    seal, count = hashlib.sha256(), 0
    for found in walk(client, reference, begin, end):
        span = [max(found.since, begin), end if found.until is None else min(found.until, end)]
        held = sorted((one.payload_type, one.name, one.digest or "") for one in found.payloads)
        seal.update(json.dumps([span, held, sorted(found.gaps)]).encode())
        count += 1
    return {"answers": count, "sha256": seal.hexdigest()}


@dag(
    dag_id="Campaign",
    schedule=None,
    catchup=False,
    params=PARAMS,
    doc_md=__doc__,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30)},
    tags=["condstore"],
)
def campaign() -> None:
    """Check, freeze, pull, run, verify."""

    @task
    def check() -> int:
        tag = get_current_context()["params"]["tag"]
        with told():
            report = CondstoreHook().get_conn().check(tag)
        if not report.ok:
            raise AirflowFailException(f"{tag} is not ready to be frozen: {in_words(report)}")
        return report.lsn

    @task(multiple_outputs=True)
    def runs(reference: str) -> dict[str, str]:
        params = get_current_context()["params"]
        with told():
            content = CondstoreHook().get_conn().tag(reference)
            begin, end = bounds_of(content, params["begin"], params["end"])
        folder = Path(params["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        seal = hashlib.sha256(f"{reference}\n{begin}\n{end}".encode()).hexdigest()
        path = folder / f"{content.tag.name}-{seal[:16]}.cdb"
        return {"begin": begin.pair(), "end": end.pair(), "path": str(path)}

    @task
    def plan(begin: str, end: str) -> list[dict[str, str]]:
        cut = parts(Moment.parse(begin), Moment.parse(end), get_current_context()["params"]["jobs"])
        return [{"begin": first.pair(), "end": last.pair()} for first, last in cut]

    @task(map_index_template="{{ part['begin'] }}")
    def job(bundle: str, reference: str, part: dict[str, str]) -> dict[str, Any]:
        """Put your own here; it needs the bundle and nothing else."""
        begin, end = Moment.parse(part["begin"]), Moment.parse(part["end"])
        return {**part, **answers(Client.offline(bundle), reference, begin, end)}

    @task
    def verify(reference: str, done: list[dict[str, Any]]) -> int:
        client = CondstoreHook().get_conn()
        for part in done:
            begin, end = Moment.parse(part["begin"]), Moment.parse(part["end"])
            online = answers(client, reference, begin, end)
            if online["sha256"] != part["sha256"]:
                raise AirflowException(
                    f"the job over [{part['begin']}, {part['end']}) was answered otherwise than "
                    f"{client.url} answers about {reference}"
                )
        return sum(part["answers"] for part in done)

    freeze = FreezeTagOperator(
        task_id="freeze",
        tag="{{ params.tag }}",
        strict=True,
        reason="campaign {{ run_id }}",
    )
    check() >> freeze
    reference: Any = freeze.output  # what is Any here has its value when the task runs
    chosen: Any = runs(reference)
    span: Any = {"begin": chosen["begin"], "end": chosen["end"]}
    pull = PullBundleOperator(task_id="pull", ref=reference, path=chosen["path"], **span)
    bundle: Any = pull.output
    done: Any = job.partial(bundle=bundle, reference=reference).expand(part=plan(**span))
    verify(reference, done)


campaign()
