"""How a server is entered: the token that it is shown, and whose certificate it may have.

A token is told, or lies in a file that is read when it is first needed, and again when a server
refuses what stood there: tokens are renewed on disk while jobs run. Nothing here tells one: no
repr, no error, no pickle. What cannot be a token is refused, naming where it came from.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import re
import threading
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit

from condstore.errors import UsageError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

TOKEN: Final = "CONDSTORE_TOKEN"  # noqa: S105 - a variable's name
BUFFER_TOKEN: Final = "BUFFER_TOKEN"  # noqa: S105 - as above
MAKE: Final = "condstore token create NAME --grant ROLE:TAGS"
"""What makes a token: said to who has none, or one that is not taken."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")
_MOST_BYTES: Final = 1 << 16
_NOT_KNOWN: Final = frozenset({401})
_NOT_LET_IN: Final = frozenset({401, 403})
_warned: Final = threading.Event()


class TokenInTheClear(UserWarning):
    """A token that goes over plain http to another machine, where others may read it."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What says who asks: one token, told or in a file; without either nothing is shown.

    `name` is where it comes from, as a person would look for it. The tiers' secret may be two while
    it is changed, in the file or in `others`: where the one is refused the other is shown.
    """

    name: str
    token: str = field(default="", repr=False)
    path: Path | None = None
    others: tuple[str, ...] = field(default=(), repr=False)
    _read: list[str] = field(default_factory=list, init=False, repr=False, compare=False)
    _lock: threading.Lock = field(
        default_factory=threading.Lock, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for token in filter(None, (self.token, *self.others)):
            _refuse_unless_token(token, self.name)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], name: str) -> Credential:
        """Read NAME, or NAME_FILE; of several between commas or on lines the first is shown.

        Of two secrets of the tiers the second, too, where the first is refused.

        >>> Credential.from_environ({"CONDSTORE_TOKEN": "cst_1_secret"}, "CONDSTORE_TOKEN")
        Credential(name='CONDSTORE_TOKEN', path=None)
        """
        token, path = environ.get(name, "").strip(), environ.get(f"{name}_FILE", "").strip()
        if token and path:
            raise UsageError(f"{name} and {name}_FILE are both set; one is enough")
        if path:
            return cls(f"{name}_FILE", path=Path(path))
        first, *others = _all(token) or [""]
        return cls(name, first, others=tuple(others) if name == BUFFER_TOKEN else ())

    @property
    def told(self) -> bool:
        """Whether there is a token to show."""
        return bool(self.token or self.path)

    @property
    def refusals(self) -> frozenset[int]:
        """The statuses of an answer by which it is refused, and not what was asked for."""
        return _NOT_LET_IN if self._is_of_tiers else _NOT_KNOWN

    @property
    def _is_of_tiers(self) -> bool:
        return self.name.startswith(BUFFER_TOKEN)

    def header(self) -> str | None:
        """Return the value of an Authorization header, None without a token.

        Raises:
            UsageError: the file cannot be read, or holds no token.
        """
        if not self.told:
            return None
        with self._lock:
            if not self._read:
                self._read[:] = self._known()
            return f"Bearer {self._read[0]}"

    def renewed(self, shown: str | None) -> bool:
        """Say whether there is another token by now than the one shown, which was refused."""
        with self._lock:
            if self._read and f"Bearer {self._read[0]}" == shown:
                with contextlib.suppress(UsageError):  # it is being written at this moment
                    known, refused = self._known(), self._read[0]
                    self._read[:] = sorted(known, key=lambda token: token == refused)
            return bool(self._read) and f"Bearer {self._read[0]}" != shown

    def _known(self) -> list[str]:
        """Return what may be shown, in the order in which to try."""
        if self.path is None:
            return [self.token, *self.others]
        return self._in(self.path)

    def _in(self, path: Path) -> list[str]:
        where = f"{self.name}={str(path)!r}"
        try:
            with path.open("rb") as file:
                text = file.read(_MOST_BYTES).decode("ascii", "replace")
        except OSError as error:
            whence = "" if path.is_absolute() else f", looked for from {Path.cwd()}"
            raise UsageError(f"{where} cannot be read ({error.strerror}{whence})") from error
        first, *others = _all(text) or [""]
        shown = [first, *others] if self._is_of_tiers else [first]
        return [_refuse_unless_token(token, where) for token in shown]

    def advice(self, said: str) -> str:
        """Return what to do about a refusal in these words."""
        if self._is_of_tiers:
            to = "the databuffer's own secret, which no user needs for anything else"
            look = (
                f"look at {self.name}"
                if self.told
                else f"set {BUFFER_TOKEN} or {BUFFER_TOKEN}_FILE"
            )
            return f"{look}: {to}"
        if not self.told:
            return f"set {TOKEN} or {TOKEN}_FILE; an admin makes one: {MAKE}"
        if "expired" in said:
            new = (
                "get a new one where it came from"
                if self._foreign()
                else f"make a new one with `{MAKE}`"
            )
            return f"the token of {self.name} has expired: {new}"
        if self._foreign():
            whom = "who issues it, or runs the servers, can say why"
            return f"the token of {self.name} is not taken: {whom}"
        return f"the token of {self.name} is not taken: `{MAKE}` makes another"

    def _foreign(self) -> bool:
        """Say whether it looks like a JSON Web Token, which no condstore makes."""
        return (self.token or "".join(self._read)).count(".") == 2

    def __reduce__(self) -> NoReturn:
        raise TypeError("a credential is not written down: make a client where it is used")


@dataclass(frozen=True, slots=True)
class Access:
    """A credential, and the PEM file of the CAs a server's certificate may be of (None: usual)."""

    credential: Credential = field(default_factory=lambda: Credential(TOKEN))
    ca: Path | None = None

    def shown_to(self, url: str) -> str | None:
        """Return the Authorization header for a URL; the first in the clear is warned of."""
        header = self.credential.header()
        if header and in_the_clear(url):
            _warn(urlsplit(url).hostname or "")
        return header

    def ca_file(self, url: str) -> str | None:
        """Return the file to verify a URL's server with; raise `UsageError` if it is none."""
        if self.ca is None or not url.startswith("https:"):
            return None
        _context(self.ca)
        return str(self.ca)

    def context(self) -> ssl.SSLContext | None:
        """Return the same for who takes no file."""
        return None if self.ca is None else _context(self.ca)


NOBODY: Final = Access()
"""No token, and the CAs that everybody knows."""


def in_the_clear(url: str) -> bool:
    """Say whether what is sent to a URL can be read on the way.

    >>> in_the_clear("http://a:5000"), in_the_clear("https://a"), in_the_clear("http://[::1]:5000")
    (True, False, False)
    """
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, by name or address.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("a"), is_loopback("::1")
    (True, True, False, True)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _warn(host: str) -> None:
    """Warn of a host, once a process: of a thousand requests one line is enough."""
    if _warned.is_set():
        return
    _warned.set()
    warnings.warn(
        f"the token goes over plain http to {host}, where others may read it on the way: give an "
        "https:// URL, with CONDSTORE_CA=<PEM file> if its certificate is of a CA of your own",
        TokenInTheClear,
        stacklevel=3,
    )


@functools.cache
def _context(ca: Path) -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - only who speaks https to a CA of his own

    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # a file that is no PEM, too
        why = error.strerror if isinstance(error, FileNotFoundError | PermissionError) else ""
        raise UsageError(
            f"CONDSTORE_CA={str(ca)!r} is not a PEM file of certificates{why and f' ({why})'}"
        ) from error


def _all(text: str) -> list[str]:
    """Return the tokens between commas or on lines, in their order."""
    return [part.strip() for part in re.split(r"[,\r\n]", text) if part.strip()]


def _refuse_unless_token(text: str, name: str) -> str:
    """Return the text if a header can carry it as a token; raise `UsageError` that hides it."""
    if not _TOKEN.fullmatch(text):
        what = "has characters that no token has, or too many" if text else "holds no token"
        if " " in text:
            what = "has a space in it: the token goes there alone, without a word before it"
        raise UsageError(f"{name} {what}")
    return text
