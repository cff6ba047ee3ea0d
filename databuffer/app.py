"""Wiring: a configuration in, an application out. Constructing opens nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from databuffer.access.secrets import TierSecrets, parse_secret_file
from databuffer.buffer.files import BufferFiles
from databuffer.buffer.service import StreamingBuffer
from databuffer.config import Authentication
from databuffer.errors import CannotStart
from databuffer.gate import Places
from databuffer.health import Health
from databuffer.store.disk import Disk
from databuffer.store.documents import Documents
from databuffer.store.private import close_to_others
from databuffer.store.room import Room
from databuffer.store.unreferenced import Unreferenced
from databuffer.store.volume_blobs import VolumeBlobs
from databuffer.store.volume_ledger import VolumeLedger
from databuffer.tracing import Tracing
from databuffer.version import installed
from databuffer.watched import Watched
from databuffer.web import blobs as blob_routes
from databuffer.web import bulk as bulk_routes
from databuffer.web import health as health_routes
from databuffer.web import keys
from databuffer.web import ledger as ledger_routes
from databuffer.web import state as state_routes
from databuffer.web import stream as stream_routes
from databuffer.web import upkeep as upkeep_routes
from databuffer.web.access import admitting
from databuffer.web.body import read_later
from databuffer.web.metrics import Metrics
from databuffer.web.middleware import add_request_id, outermost
from databuffer.web.pages import refuse_other_sites
from databuffer.web.traced import traced
from databuffer.web.traffic import TRAFFIC, Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from aiohttp.typedefs import Middleware

    from databuffer.config import Config

    Lifetime = Callable[[web.Application], AsyncIterator[None]]
    """What is done when the application starts, and undone when it ends."""

VOLUME_LEDGER = web.AppKey("volume_ledger", VolumeLedger)
_ROUTES = (
    *(blob_routes, bulk_routes, upkeep_routes, ledger_routes),
    *(state_routes, stream_routes, health_routes),
)
_READERS = 8
_BULK_READS = 8


def create_app(config: Config) -> web.Application:
    """Wire the tier on a volume."""
    disk, metrics = Disk(config.wchsz + _READERS, "disk"), Metrics(installed())
    ledger_room = Room(config.ledgerroot, config.volume_reserve_bytes)
    data_room = Room(config.blobroot, config.volume_reserve_bytes)
    rooms = {"ledger": ledger_room, "data": data_room}
    ledger = VolumeLedger(
        config.ledgerroot, disk, config.ledger_segment_bytes, ledger_room, metrics
    )
    blobs = VolumeBlobs(config.blobroot, disk, config.blob_journal_bytes, data_room, metrics)
    documents = Documents(config.stateroot, disk, ledger_room)
    places = Places(config.wchsz, config.write_wait)
    bulk_reads = Places(_BULK_READS, config.write_wait, "reads of many blobs")
    files = BufferFiles(config)
    buffer = StreamingBuffer(ledger, blobs, files, places, disk, config.datanm, ledger_room)
    traffic = Traffic()
    health = Health(config.ledgerroot, disk, ledger, buffer, rooms)
    secrets = TierSecrets(config.buffer_token)
    tracing = Tracing(config.otlp_endpoint, "condstore-databuffer", installed())
    app = web.Application(middlewares=_layers(config, secrets, tracing), client_max_size=0)
    if config.buffer_token_file is not None:
        app.cleanup_ctx.append(_following(config.buffer_token_file, secrets))
    metrics.queue.set_function(lambda: ledger.waiting)
    app[keys.CONFIG], app[keys.METRICS] = config, metrics
    app[keys.BLOBS], app[keys.LEDGER], app[VOLUME_LEDGER] = blobs, ledger, ledger
    app[keys.COMPRESSIBLE], app[keys.BULK_READS] = ledger, bulk_reads
    app[keys.DOCUMENTS], app[keys.BUFFER], app[keys.PLACES] = documents, buffer, places
    app[health_routes.HEALTH], app[TRAFFIC] = health, traffic
    app[keys.UNREFERENCED] = Unreferenced(ledger, documents, blobs, disk, lambda: traffic.stopping)
    for module in _ROUTES:
        app.add_routes(map(_inviting_nobody, module.routes))
    app.on_response_prepare.append(add_request_id)
    opened = _open(disk, ledger, blobs, documents, buffer, config)
    app.cleanup_ctx.extend([_tracing(tracing), opened])
    return app


def _layers(config: Config, secrets: TierSecrets, tracing: Tracing) -> list[Middleware]:
    """Say what a request passes on its way in, the outermost first."""
    inner: dict[Authentication, list[Middleware]] = {
        Authentication.ON: [admitting(secrets)],
        Authentication.LOOPBACK_ONLY: [refuse_other_sites],
        Authentication.OFF: [],
    }
    around = [traced(tracing)] if config.otlp_endpoint else []
    return [*around, outermost, *inner[config.authentication]]


def _tracing(tracing: Tracing) -> Lifetime:
    async def started(_: web.Application) -> AsyncIterator[None]:
        tracing.start()
        yield
        await asyncio.to_thread(tracing.stop)

    return started


def _open(
    disk: Disk,
    ledger: VolumeLedger,
    blobs: VolumeBlobs,
    documents: Documents,
    buffer: StreamingBuffer,
    config: Config,
) -> Lifetime:
    async def opened(_: web.Application) -> AsyncIterator[None]:
        try:
            if blobs.there and not ledger.there:
                raise CannotStart("there are payloads, yet no ledger: is its volume mounted?")
            await ledger.open()  # first: it takes the volume
            await disk.run(blobs.take, begun=ledger.head().lsn > 0)
            await disk.run(blobs.prepare)
            await disk.run(documents.prepare)
            await disk.run(lambda: close_to_others(config.private))
            await buffer.open()
            yield
            await buffer.close()
        finally:
            await ledger.close()
            await blobs.close()
            disk.close()

    return opened


def _inviting_nobody(route: web.AbstractRouteDef) -> web.AbstractRouteDef:
    """Have a body asked for (Expect: 100-continue) where it is read, the caller being known."""
    if not isinstance(route, web.RouteDef):
        return route
    kwargs = {**route.kwargs, "expect_handler": read_later}
    return web.RouteDef(route.method, route.path, route.handler, kwargs)


def _following(path: Path, secrets: TierSecrets) -> Lifetime:
    """Make the secrets those of a file, whenever it is replaced."""
    name = "BUFFER_TOKEN_FILE"

    async def following(_: web.Application) -> AsyncIterator[None]:
        def take(contents: Mapping[str, bytes]) -> None:
            secrets.take(parse_secret_file(name, contents[name]))

        async with Watched({name: path}, take).followed():
            yield

    return following
