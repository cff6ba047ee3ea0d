"""What handlers find in the application and in a request, by typed key."""

from __future__ import annotations

from aiohttp import web

from databuffer.buffer.service import StreamingBuffer
from databuffer.config import Config
from databuffer.gate import Places
from databuffer.store.documents import Documents
from databuffer.store.protocols import BlobStore, Compressible, Ledger
from databuffer.store.unreferenced import Unreferenced
from databuffer.web.metrics import Metrics

CONFIG = web.AppKey("config", Config)
BLOBS = web.AppKey("blobs", BlobStore)
LEDGER = web.AppKey("ledger", Ledger)
COMPRESSIBLE = web.AppKey("compressible", Compressible)
DOCUMENTS = web.AppKey("documents", Documents)
BUFFER = web.AppKey("buffer", StreamingBuffer)
PLACES = web.AppKey("places", Places)
BULK_READS = web.AppKey("bulk_reads", Places)
UNREFERENCED = web.AppKey("unreferenced", Unreferenced)
METRICS = web.AppKey("metrics", Metrics)
REQUEST_ID = web.RequestKey("request_id", str)
SERVER = "databuffer"  # what answers say they are from: no versions
