"""The digital twin's GlitchflowAPI as its `Trainpipe` DAG asks it, and the environment it reads.

    DS_BURL    base URL; without it, the connection's
    DS_FREEZE  path of the freeze, /train or /freezeds
    DS_STAT    /stats or /bufstat            DS_DESC   /desc or /dsdesc
    DS_DUMPF   /dumpbuf or /dumpf            MAX_SIZE  bytes that are enough

Both dialects are understood: the `resp` of GlitchflowAPI, and the statuses of the logic tier below
it. DS_SEND and DS_FLUSH are for producers and operators; the DAG neither streams nor cleans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from condstore.calls import Call
from condstore.config import parse_urls
from condstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from condstore.airflow.connection import Store
    from condstore.results import Json

_CREATED = 201
_NOBODY = "airflow"
_PATHS = {"stat": "DS_STAT", "dumpf": "DS_DUMPF", "desc": "DS_DESC", "freeze": "DS_FREEZE"}


@dataclass(frozen=True, slots=True)
class Twin:
    """Where the twin's service is (None: where the connection says), and when there is enough."""

    url: str | None = None
    stat: str = "/stats"
    dumpf: str = "/dumpbuf"
    desc: str = "/desc"
    freeze: str = "/train"
    max_size: int = 1_000_000

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Twin:
        """Read the twin's variables; raise `UsageError` naming the one that makes no sense.

        >>> Twin.from_environ({"DS_BURL": "http://twin:8000/", "DS_FREEZE": "train"}).freeze
        '/train'
        """
        told = {field: _path(environ[name]) for field, name in _PATHS.items() if environ.get(name)}
        url = environ.get("DS_BURL")
        return cls(
            url=parse_urls(url, "DS_BURL")[0] if url else None,
            max_size=_size(environ.get("MAX_SIZE") or str(cls().max_size)),
            **told,
        )

    def train(self, store: Store) -> dict[str, Json]:
        """Ask for the freeze; return contract C's answer, in either dialect.

        {"resp": "WAITING"}, or {"resp": "FROZEN", "n_f": files, "bt_wrt": bytes}. Frozen already:
        the same. The user is the connection's login; the twin's own `token`, which its service
        keeps, never is the connection's.
        """
        told = {"user": store.user or _NOBODY, "token": _NOBODY}
        server = store.at(self.url).server()
        response = server.write(Call("POST", self.freeze, json=told))
        if not self.freeze.endswith("/freezeds"):
            return server.value(_trained, response)
        if response.status_code != _CREATED:
            return {"resp": "WAITING"}
        return server.value(lambda answer: _frozen(answer["n_itm"], answer["buff_size"]), response)

    def files(self, store: Store) -> list[str]:
        """Return the names of the buffer's files, as they lie in the volume's `data/`."""
        server = store.at(self.url).server()
        return server.read(
            lambda answer: [str(name) for name in answer["nmlist"] or ()], self.dumpf
        )


def _trained(answer: Json) -> dict[str, Json]:
    if answer["resp"] == "FROZEN":
        return _frozen(answer["n_f"], answer["bt_wrt"])
    if answer["resp"] != "WAITING":
        raise ValueError(f"resp is {answer['resp']!r}")
    return {"resp": "WAITING"}


def _frozen(files: Json, size: Json) -> dict[str, Json]:
    return {"resp": "FROZEN", "n_f": int(files), "bt_wrt": int(size)}


def _path(text: str) -> str:
    return f"/{text.strip('/')}"


def _size(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"MAX_SIZE={text!r} is not a number of bytes")
    return int(text)
