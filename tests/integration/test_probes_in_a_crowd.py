"""Callers who take every connection there is: a pod is not killed for them, nor hidden."""

from __future__ import annotations

import contextlib
import socket
from urllib.parse import urlsplit

import pytest
import urllib3
from certificates import issue
from servers import databuffer, eventually, logic

PLACES = 20
CROWD = {"MAX_CONNECTIONS": str(PLACES), "HEADER_TIMEOUT": "60"}
PROBE_WITHIN = 5.0
"""timeoutSeconds of the probes in k8s/base."""


def asked(url, path):
    """Ask over a connection of its own, as the kubelet and Prometheus do; return the status."""
    with urllib3.PoolManager(cert_reqs="CERT_NONE", retries=False, timeout=PROBE_WITHIN) as alone:
        return alone.request("GET", url + path, headers={"Connection": "close"}).status


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("with_tls", [False, True], ids=["http", "https"])
def test_all_connections_taken_the_probes_are_answered(tmp_path, with_tls):
    """Alive, ready and the metrics as ever, for both tiers; whoever asks for more is told 503."""
    pair = issue(tmp_path / "tls")
    tls = {"TLS_CERT": str(pair.certificate), "TLS_KEY": str(pair.key)} if with_tls else {}
    trust = {"BUFFER_CA": str(pair.ca)} if with_tls else {}
    with (
        databuffer(tmp_path, **CROWD, **tls) as buffer,
        logic(buffer.url, tmp_path, workers=1, **CROWD, **tls, **trust) as tier,
        contextlib.ExitStack() as crowd,
    ):
        eventually(lambda: asked(tier.url, "/readyz") == 200)
        for running, other in ((tier, "/api/v1/global-tags"), (buffer, "/ledger/head")):
            parts = urlsplit(running.url)
            for _ in range(10 * PLACES):  # those who are turned away wait as well
                one = socket.create_connection((parts.hostname, parts.port))
                crowd.enter_context(one).sendall(b"" if with_tls else b"G")
            eventually(lambda url=running.url + other: asked(url, "") == 503)
            for _ in range(3):
                for path in ("/livez", "/readyz", "/metrics"):
                    assert asked(running.url, path) == 200, (running.name, path)
