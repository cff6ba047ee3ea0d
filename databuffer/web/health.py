"""Alive, ready, counted."""

from __future__ import annotations

import orjson
from aiohttp import web
from prometheus_client.exposition import generate_latest

from databuffer.health import Health
from databuffer.version import installed
from databuffer.web.keys import BUFFER, CONFIG, LEDGER, METRICS, PLACES
from databuffer.web.traffic import TRAFFIC

routes = web.RouteTableDef()
HEALTH = web.AppKey("health", Health)


@routes.get("/livez")
async def get_alive(request: web.Request) -> web.Response:
    """The process answers."""
    return web.json_response({"alive": True})


@routes.get("/readyz")
async def get_ready(request: web.Request) -> web.Response:
    """Whether writes would succeed, and how full the volume is."""
    app = request.app
    report = await app[HEALTH].report()
    config, stopping = app[CONFIG], app[TRAFFIC].leaving
    head, ready = app[LEDGER].head(), report.ready and not stopping
    body = {
        "ready": ready,
        "stopping": stopping,
        "ledger": {"id": head.ledger, "lsn": head.lsn},
        "volume": report.volume().told(),
        "volumes": {name: volume.told() for name, volume in report.volumes.items()},
        "authentication": config.authentication,
        "tls": config.tls_cert is not None,
        "version": installed(),
        "buffer": app[BUFFER].state.description()["dstatus"],
        "checks": report.checks,
    }
    status = 200 if ready else 503
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


@routes.get("/metrics")
async def get_metrics(request: web.Request) -> web.Response:
    """What Prometheus reads."""
    app, metrics = request.app, request.app[METRICS]
    report, state = await app[HEALTH].report(), app[BUFFER].state
    metrics.ledger_lsn.set(app[LEDGER].head().lsn)
    metrics.files.set(len(state.files))
    metrics.bytes.set(state.size)
    metrics.frozen.set(state.frozen)
    metrics.writes.set(app[PLACES].taken)
    metrics.waiting.set(app[PLACES].waiting)
    metrics.found(report)
    return web.Response(
        body=generate_latest(metrics.registry),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )
