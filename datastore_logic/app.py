"""Wire the logic tier together. Making the application starts no thread and opens nothing."""

from __future__ import annotations

import os
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from flask import Flask

from datastore_logic.access.api_tokens import verify
from datastore_logic.access.identify import Identify
from datastore_logic.access.jwt_bearer import JwtVerifier
from datastore_logic.access.verified import Verified
from datastore_logic.config import Authentication, Config
from datastore_logic.databuffer.client import BufferClient
from datastore_logic.services.tier import Tier
from datastore_logic.services.token_use import TokenUse
from datastore_logic.standstill import Turns
from datastore_logic.tracing import Tracing
from datastore_logic.version import installed
from datastore_logic.view.acknowledged import Acknowledged
from datastore_logic.view.copying import Copies
from datastore_logic.view.database import Database
from datastore_logic.view.follower import Follower
from datastore_logic.view.prepared import Prepared
from datastore_logic.view.replica import Replica
from datastore_logic.view.slice_files import SliceFiles
from datastore_logic.view.slicer import Slicer
from datastore_logic.view.starting import Starting
from datastore_logic.view.tokens import KnownTokens
from datastore_logic.watch import both
from datastore_logic.web import (
    authenticate,
    caching,
    cdb_rest,
    glitchflow,
    health,
    middleware,
    page,
    pages,
    sign_in,
    stream,
    traced,
    v1,
    which_ledger,
)
from datastore_logic.web.address import FromProxies
from datastore_logic.web.health import Serving
from datastore_logic.web.metrics import Metrics
from datastore_logic.web.rates import Rates

if TYPE_CHECKING:
    from datastore_logic.access.identify import Judge
    from datastore_logic.access.roles import Principal
    from datastore_logic.watch import Cache

FOLLOWER = "condstore.follower"
"""Where `app.extensions` keeps the thread that gunicorn's worker starts after the fork."""

WORKER = "condstore.worker"
"""Where it keeps what gunicorn's worker tells of itself."""

METRICS = "condstore.metrics"
"""Where it keeps the counters, of which gunicorn's worker has some to tell too."""

TRACING = "condstore.tracing"
"""Where it keeps what makes spans, which gunicorn's worker starts after the fork."""

TIER = "condstore.tier"
"""Where it keeps what the handlers work with."""


def create_app(config: Config | None = None, buffer: BufferClient | None = None) -> Flask:
    """Return the WSGI application; without a configuration, that of the environment."""
    config = config or Config.from_environ(os.environ)
    metrics = Metrics(config)
    prepared = _prepared(config, metrics.looked_up)
    database = Database(config.view_path, config.stream_tag, prepared)
    tracing = Tracing(config.otlp_endpoint, "condstore-logic", installed())
    around = both(metrics.calling, tracing.calling) if config.otlp_endpoint else metrics.calling
    buffer = buffer or BufferClient(config, both(Turns(config.threads).calling, around))
    acknowledged = Acknowledged(config.acknowledged_path)
    replica = Replica(database, buffer, config.stream_tag, acknowledged)
    token_use = TokenUse(buffer, database)
    copies = Copies(config.view_path, config.stream_tag, config.log_format)
    waiting = BoundedSemaphore(max(1, config.threads // 4))
    tier = Tier(config, database, replica, buffer, acknowledged, token_use, copies, waiting=waiting)
    worker = Serving()
    app = Flask("datastore_logic")
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # it would redirect, and with a page
    if config.otlp_endpoint:
        traced.install(app, tracing, metrics.tags)
    middleware.install(app, metrics)
    identify, rates = _identify(config, tier), _rates(config)
    authenticate.install(app, config.access, identify, rates)
    caching.install(app, config.access)
    page.install(app)
    which_ledger.install(app, database)
    for blueprint in (
        stream.blueprint(tier),
        glitchflow.blueprint(tier),
        v1.blueprint(tier),
        cdb_rest.blueprint(tier),
        health.blueprint(tier, metrics, worker),
        pages.blueprint(tier),
        sign_in.blueprint(config.access, identify, rates),
    ):
        app.register_blueprint(blueprint)
    app.wsgi_app = FromProxies(app.wsgi_app, config.trusted_proxies)  # type: ignore[method-assign,assignment]  # as Flask's documentation wraps it
    app.extensions[TIER], app.extensions[WORKER] = tier, worker
    app.extensions[TRACING], app.extensions[METRICS] = tracing, metrics
    starting = _starting(config, database, buffer)
    app.extensions[FOLLOWER] = Follower(replica, database, config.view_path, starting, copies)
    return app


def _identify(config: Config, tier: Tier) -> Identify:
    """Return what judges credentials; that an API token was used is noted."""
    settings = config.access.jwt
    given = settings.secret or settings.jwks
    jwt = Verified(JwtVerifier(settings).verify, settings.leeway) if given else None
    return Identify(config.access, tokens=_token_judge(tier), jwt=jwt)


def _rates(config: Config) -> Rates | None:
    """Return what counts each caller's requests; None where all of them are of this machine."""
    if config.authentication is Authentication.LOOPBACK_ONLY:
        return None
    return Rates(config, config.rates_path)


def _token_judge(tier: Tier) -> Judge:
    known = KnownTokens(tier.database)

    def judge(credential: str, now: float) -> Principal:
        token = verify(known.find, credential, now)
        tier.token_use.note(token.id, now)
        return token.principal

    return judge


def _starting(config: Config, database: Database, buffer: BufferClient) -> Starting:
    wanted, view = config.checkpoints, config.view_path
    return Starting(database, buffer, config.stream_tag, view, wanted=wanted)


def _prepared(config: Config, watch: Cache) -> Prepared:
    """Return what a process keeps to answer faster; without SLICES_BYTES only in memory."""
    if not config.slices_bytes:
        return Prepared(watch=watch)
    folder, most = config.slices_path, config.slices_bytes
    slicer = Slicer(config.view_path, config.stream_tag, folder, most, config.log_format)
    return Prepared(SliceFiles(folder, most), slicer.ask, watch)
