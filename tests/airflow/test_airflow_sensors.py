"""The sensors' looks and their trigger, against real servers, without a triggerer around them."""

import asyncio
import json

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from logic_pair import pair

from condstore import Client, NewIOV
from condstore.airflow import sensors
from condstore.airflow.connection import Store
from condstore.airflow.triggers import ONCE, WatchTrigger
from condstore.airflow.watches import TagCovers, written
from condstore.segments import Segment

pytestmark = pytest.mark.usefixtures("connection")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Both tiers, running, for all tests here."""
    with pair(tmp_path_factory.mktemp("store")) as both:
        yield both


@pytest.fixture
def tag(request, client):
    """An empty tag of the test's own."""
    return client.create_tag(request.node.name[5:60].translate(str.maketrans("[]", "--"))).name


def deferred(sensor):
    """Return the trigger that a sensor leaves its work to, made anew from what it wrote."""
    with pytest.raises(TaskDeferred) as raised:
        sensor.execute({})
    path, arguments = json.loads(json.dumps(raised.value.trigger.serialize()))
    assert path == f"{WatchTrigger.__module__}.WatchTrigger"
    return WatchTrigger(**arguments), raised.value


def event_of(trigger, within=20):
    """Run a trigger to its one event."""

    async def first():
        return await asyncio.wait_for(anext(trigger.run()), within)

    return asyncio.run(first()).payload


def test_what_is_there_already_is_not_waited_for(client, tag):
    """The first look, on the worker, is enough."""
    client.insert_iovs(tag, [NewIOV("Beam", (1, 0), name="x")])
    reference = client.freeze_tag(tag).reference
    assert sensors.TagFrozenSensor(task_id="wait", tag=tag).execute({}) == reference
    covers = sensors.TagCoversSensor(task_id="wait", tag=tag, begin=1, end=2)
    assert covers.execute({}) == reference


def test_a_freeze_is_seen_by_the_trigger(client, tag):
    """The sensor defers itself with its timeout, and returns what the trigger saw."""
    sensor = sensors.TagFrozenSensor(task_id="wait", tag=tag, poke_interval=0.1, timeout=77)
    trigger, raised = deferred(sensor)
    assert raised.timeout.total_seconds() == 77
    reference = client.freeze_tag(tag).reference
    seen = event_of(trigger)
    assert getattr(sensor, raised.method_name)({}, seen) == reference


def test_a_tag_that_is_not_there_yet_is_waited_for(client):
    """A campaign may wait for the tag that others will make."""
    trigger, _ = deferred(sensors.TagFrozenSensor(task_id="wait", tag="soon", poke_interval=0.1))

    async def made():
        run = trigger.run()
        waiting = asyncio.ensure_future(anext(run))
        done, _ = await asyncio.wait({waiting}, timeout=0.5)
        assert not done
        await asyncio.to_thread(client.create_tag, "soon")
        frozen = await asyncio.to_thread(client.freeze_tag, "soon")
        return await asyncio.wait_for(waiting, 20), frozen.reference

    event, reference = asyncio.run(made())
    assert event.payload == {"value": reference}


def test_a_buffer_is_full_at_the_byte(client):
    """`at_least` is a template's text; a frozen buffer will hold no more, so it is not awaited."""
    body = {"h": [0.5] * 50, "t": [1, 0.01]}
    client.stream_segment(Segment("X1:STRAIN", json.dumps(body).encode(), 50))
    size = client.buffer().size
    assert sensors.BufferFilledSensor(task_id="wait", at_least=str(size)).execute({}) == size
    more = sensors.BufferFilledSensor(task_id="more", at_least=size + 1, poke_interval=0.1)
    trigger, _ = deferred(more)
    client.freeze_tag("stream")
    assert event_of(trigger) == {"value": size}


@pytest.mark.parametrize(
    ("begin", "end", "types", "words"),
    [
        (10, 30, (), ""),
        (10, 40, ("Beam",), ""),
        (9, 30, (), "has nothing at 9:0 yet"),
        (10, 31, (), "Field ends at 30:0, before 31:0"),
        (10, 30, ("Beam", "Map"), "has nothing of Map yet"),
        (12, 15, ("Hole",), ""),
        (12, 19, ("Hole",), "Hole has a gap from 15:0 to 18:0"),
    ],
)
def test_a_run_range_is_covered_without_a_gap(client, store, begin, end, types, words):
    """In words what is missing, of the types asked for or of all."""
    name = f"covers-{begin}-{end}-{len(types)}"
    client.create_tag(name)
    rows = [
        *(NewIOV("Beam", (at, 0), name="b") for at in (10, 20)),
        *(NewIOV("Field", (at, 0), (at + 10, 0), name="f") for at in (10, 20)),
    ]
    hole = [NewIOV("Hole", (a, 0), (b, 0), name="h") for a, b in ((12, 15), (18, 25))]
    client.insert_iovs(name, rows + (hole if "Hole" in types else []))
    watch = TagCovers(name, str(begin), str(end), types)
    seen = watch.look(Store((store.logic.url,)), ONCE)
    assert (seen.done, words in seen.words) == (not words, True)
    assert seen.value == client.pin(name)


def test_a_range_that_is_empty_fails_at_once(tag):
    """No waiting makes it one."""
    with pytest.raises(AirflowFailException, match="give a begin before the end"):
        sensors.TagCoversSensor(task_id="wait", tag=tag, begin=5, end=5).execute({})
    watch = written(TagCovers(tag, "5", "5"))
    event = event_of(WatchTrigger("condstore_default", watch, 0.1))
    with pytest.raises(AirflowFailException, match="give a begin before the end"):
        sensors.TagFrozenSensor(task_id="wait", tag=tag).resume({}, event)


def test_a_store_that_is_away_is_no_failure(monkeypatch, tag):
    """The worker's first look fails to see, and leaves it to the triggerer, which looks on."""
    monkeypatch.setenv("AIRFLOW_CONN_CONDSTORE_DEFAULT", "condstore://127.0.0.1:9")
    trigger, _ = deferred(sensors.TagFrozenSensor(task_id="wait", tag=tag, poke_interval=0.1))
    with pytest.raises(TimeoutError):
        event_of(trigger, within=1)


def test_a_sensor_may_wait_on_a_worker(client, tag):
    """Without a triggerer: `deferrable=False`."""
    client.freeze_tag(tag)
    sensor = sensors.TagFrozenSensor(task_id="wait", tag=tag, deferrable=False)
    assert sensor.execute({}) == client.pin(tag)


def test_a_cancelled_trigger_leaves_nothing_behind(store):
    """A task that is cleared ends its wait."""
    assert Client(store.logic.url).tags() is not None
    trigger = WatchTrigger("condstore_default", {"kind": "tag_frozen", "tag": "never"}, 0.1)

    async def cancelled():
        waiting = asyncio.ensure_future(anext(trigger.run()))
        await asyncio.wait({waiting}, timeout=0.3)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return len(asyncio.all_tasks())

    assert asyncio.run(cancelled()) == 1
