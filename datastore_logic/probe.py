"""`python -m datastore_logic.probe`: whether the replica of this environment is alive.

For the image's health check. Asks `/livez` where HOST and PORT say that it listens, over TLS where
TLS_CERT is set; whom the certificate names does not matter, for it asks itself and shows no secret.
Exit 0 if it is; 1 and one line if not.
"""

from __future__ import annotations

import os
import ssl
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from datastore_logic.config import Config
from datastore_logic.errors import BadConfiguration

_WITHIN = 4.0  # seconds; what asks for the health check gives it five
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what listens everywhere listens here


def main() -> int:
    """Ask; give the exit status."""
    try:
        status = _asked(Config.from_environ(os.environ))
    except (BadConfiguration, HTTPException, OSError) as error:
        return _not_alive(error)
    return 0 if status == 200 else _not_alive(f"/livez answers {status}")


def _asked(config: Config) -> int:
    host = _HERE.get(config.host, config.host)
    with closing(_connection(host, config.port, with_tls=config.tls_cert is not None)) as asking:
        asking.request("GET", "/livez")
        return asking.getresponse().status


def _connection(host: str, port: int, *, with_tls: bool) -> HTTPConnection:
    if not with_tls:
        return HTTPConnection(host, port, timeout=_WITHIN)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, port, timeout=_WITHIN, context=context)


def _not_alive(reason: object) -> int:
    sys.stderr.write(f"datastore_logic: not alive: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
