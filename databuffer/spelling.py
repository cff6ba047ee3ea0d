"""Which variables there are, and which names in the environment are nearly one of them.

A misspelt variable changes nothing, and nobody notices. Both tiers have this word for word.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_BOTH_TIERS: Final = (
    "AUTH BODY_TIMEOUT BUFFER_TOKEN BUFFER_TOKEN_FILE DRAIN_SECONDS HEADER_TIMEOUT LOG_FORMAT"
    " LOG_LEVEL MAX_CONNECTIONS MAX_SEGMENT_BYTES MIN_BODY_RATE OTEL_EXPORTER_OTLP_ENDPOINT"
    " SHUTDOWN_GRACE TLS_CERT TLS_KEY"
)
_BUFFER: Final = (
    "ADMFNM ADMROOT BLOBROOT BLOB_JOURNAL_BYTES DATANM DATAROOT DSST DTVOLROOT LEDGERROOT"
    " LEDGER_SEGMENT_BYTES LOGROOT LOGSTREAM MAX_BLOB_BYTES MAX_ENTRY_BYTES MAX_STATE_BYTES"
    " SERVURL STATEROOT VOLUME_RESERVE_BYTES VOLUME_ROOT WCHSZ WRITE_WAIT"
)
_LOGIC: Final = (
    "ADMIN_TOKEN ADMIN_TOKEN_FILE BUFFER_CA BUFFER_PUBLIC_URL BUFFER_TIMEOUT CDB_IOV_MODE"
    " CHECKPOINTS CLAIM_ADMIN CLAIM_EDITOR CLAIM_PRODUCER CLAIM_READER DB_BURL ENDP_CLEAN"
    " ENDP_DESC ENDP_DUMP ENDP_DUMPF ENDP_SEND ENDP_STAT ENDP_UPD_DESC FREEZE_APPROVALS HOST"
    " JWT_AUDIENCE JWT_ISSUER JWT_JWKS JWT_LEEWAY JWT_SECRET JWT_SECRET_FILE JWT_SUBJECT_CLAIM"
    " MAX_IOVS MAX_SIZE METRICS_TAGS PORT RATE_FAILURES RATE_READS RATE_WRITES READS READ_TAGS"
    " SLICES_BYTES STREAM_TAG THREADS TRUSTED_PROXIES VIEW_PATH VIEW_WAIT WEB_CONCURRENCY"
)
_CLIENT: Final = (
    "CONDSTORE_CA CONDSTORE_CACHE CONDSTORE_CACHE_BYTES CONDSTORE_TOKEN CONDSTORE_TOKEN_FILE"
    " CONDSTORE_URL DS_BURL DTCID GWID INF SRV SUP TOKEN"
)
VARIABLES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "databuffer": frozenset(f"{_BOTH_TIERS} {_BUFFER}".split()),
        "datastore_logic": frozenset(f"{_BOTH_TIERS} {_LOGIC}".split()),
        "client": frozenset(_CLIENT.split()),
    }
)
"""By what reads them; the client with its shell scripts and the GW producer."""

_LIKENESS: Final = 0.85
"""From 0 to 1: one letter of five too many, two of seven swapped, one of eight another."""

_OF_OTHERS: Final = re.compile(
    r".*_SERVICE_HOST|.*_SERVICE_PORT(_.*)?|.*_PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?"  # Kubernetes
    r"|OTEL_EXPORTER_OTLP_(TRACES|METRICS|LOGS)_.*"  # OpenTelemetry's SDK reads them itself
)


def misspelt(names: Iterable[str], program: str) -> list[str]:
    """Return a line for each of the names that is nearly one of a program's variables.

    None that another program of condstore reads is, nor any that Kubernetes puts into each pod.
    """
    ours, known = VARIABLES[program], frozenset().union(*VARIABLES.values())
    asked = sorted(name for name in names if name not in known)
    return [
        f"{name} is set, and is no variable of condstore: {meant[0]}?"
        for name in asked
        if not _OF_OTHERS.fullmatch(name)
        and (meant := get_close_matches(name.upper(), ours, n=1, cutoff=_LIKENESS))
    ]
