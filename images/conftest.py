"""The images, mounted; and a network of our own, so that the ports the images have are free."""

from __future__ import annotations

import fcntl
import shutil
import socket
import struct
import tempfile
from pathlib import Path
from secrets import token_hex

import pytest
from containers import USER, Container, Image, mounted

_SIOCSIFFLAGS, _UP = 0x8914, 1
_HOSTS = "127.0.0.1 localhost databuff dslogic\n"


@pytest.fixture(scope="session", autouse=True)
def network():
    """Bring up the loopback interface of a network namespace that `unshare --net` made."""
    with socket.socket() as any_socket:
        flags = struct.pack("16sh14x", b"lo", _UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, flags)


@pytest.fixture(scope="session")
def image():
    """Return an image by its name; each is mounted once."""
    found: dict[str, tuple[object, Image]] = {}

    def named(name: str) -> Image:
        if name not in found:
            context = mounted(name)
            found[name] = (context, context.__enter__())
        return found[name][1]

    yield named
    for context, _ in found.values():
        context.__exit__(None, None, None)


@pytest.fixture(scope="module")
def folder():
    """Return a folder below which the image's user may be given directories."""
    made = Path(tempfile.mkdtemp(prefix="images-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def container(image, folder):
    """Return a container of an image, not yet started; it is ended with the module."""
    made: list[Container] = []

    def of(name: str, **settings) -> Container:
        hosts = folder / "hosts"
        hosts.write_text(_HOSTS)
        readable = {"/etc/hosts": hosts, **settings.pop("readable", {})}
        place = folder / f"c{len(made)}"
        made.append(Container(image(name), place, readable=readable, **settings))
        return made[-1]

    yield of
    for one in reversed(made):
        one.end()


@pytest.fixture(scope="module")
def owned(folder):
    """Return a new directory that the image's user may write to."""

    def of(name: str) -> Path:
        made = folder / name
        made.mkdir()
        shutil.chown(made, USER, USER)
        return made

    return of


@pytest.fixture(scope="module")
def secrets(folder):
    """Return files of secrets by name, as a cluster mounts them."""
    made = {"buffer": folder / "buffer-token", "admin": folder / "admin-token"}
    for path in made.values():
        path.write_text(f"{token_hex(24)}\n")
        path.chmod(0o400)
        shutil.chown(path, USER, USER)
    return made
