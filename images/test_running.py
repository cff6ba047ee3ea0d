"""The images as they run: both tiers of a pod, the command, and what they do when told to stop."""

from __future__ import annotations

import json

import pytest
from certificates import issue

WRITE_ANYWHERE = """
import os
for place in ("/", "/app", "/opt/condstore", "/etc", "/tmp", "/home", "/run"):
    try:
        open(os.path.join(place, "probe"), "w")
    except OSError:
        continue
    raise SystemExit(f"{place} can be written")
"""
CAPABILITIES = "print(open('/proc/1/status').read())"


@pytest.fixture(scope="module")
def volume(owned):
    """Return where the databuffer's volume lies outside."""
    return owned("volume")


@pytest.fixture(scope="module")
def buffer(container, volume, secrets):
    """Return a databuffer that serves, with nothing set but where the secret is."""
    made = container(
        "condstore-databuffer",
        environ={"BUFFER_TOKEN_FILE": "/secrets/buffer"},
        writable={"/volume": volume},
        readable={"/secrets/buffer": secrets["buffer"]},
    )
    made.start()
    return made


@pytest.fixture(scope="module")
def logic(container, owned, secrets, buffer):
    """Return a replica that serves, with nothing set but where the secrets are."""
    made = container(
        "condstore-logic",
        environ={
            "BUFFER_TOKEN_FILE": "/secrets/buffer",
            "ADMIN_TOKEN_FILE": "/secrets/admin",
        },
        writable={"/view": owned("view")},
        readable={"/secrets/buffer": secrets["buffer"], "/secrets/admin": secrets["admin"]},
    )
    made.start()
    return made


@pytest.fixture
def command(container, owned, secrets, logic, request):
    """Return what runs the client's image with arguments and gives its lines."""
    place = owned(f"work-{request.node.name}")

    def run(*arguments: str, status: int = 0) -> list[str]:
        made = container(
            "condstore-client",
            environ={
                "CONDSTORE_TOKEN_FILE": "/secrets/admin",
                "BUFFER_TOKEN_FILE": "/secrets/buffer",
            },
            writable={"/work": place},
            readable={"/secrets/buffer": secrets["buffer"], "/secrets/admin": secrets["admin"]},
        )
        assert made.run(*arguments) == status, made.errors()
        return made.output()

    run.place = place
    return run


def test_a_payload_goes_in_and_is_resolved(command):
    """Both tiers and the command work from end to end, each from its image."""
    (command.place / "beam.json").write_text('{"x": 1.5}')
    digest = command("put", "beam.json")[0].split()[0].removeprefix("sha256:")
    command("tag", "create", "prompt")
    command("type", "create", "Beam")
    command("iov", "insert", "prompt", "Beam", "1200:0", "--digest", f"sha256:{digest}")
    found = json.loads("\n".join(command("resolve", "prompt", "1200:17", "--json")))
    assert digest in json.dumps(found)
    assert command("verify")


def test_many_iovs_at_once_need_no_room_elsewhere(command):
    """A body too large for memory's first buffer goes through where nothing else can be written."""
    rows = [f"Many,{at},{at + 1},p{at},c{at},10" for at in range(20_000)]
    names = "payload_type,start,end,name,checksum,size"
    (command.place / "rows.csv").write_text("\n".join([names, *rows]))
    command("tag", "create", "many")
    command("type", "create", "Many")
    command("iov", "insert", "many", "--from", "rows.csv")
    assert command("resolve", "many", "777:0")


@pytest.mark.parametrize("tier", ["buffer", "logic"])
def test_it_is_healthy(tier, request):
    """The image's own health check says so, with the image's own tools."""
    running = request.getfixturevalue(tier)
    kind, *check = running.image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    assert running.ask(*check) == (0, "")


@pytest.mark.parametrize("tier", ["buffer", "logic"])
def test_nothing_but_the_volume_can_be_written(tier, request):
    """Not the code, not /tmp, nothing."""
    running = request.getfixturevalue(tier)
    assert running.ask("python", "-c", WRITE_ANYWHERE) == (0, "")


@pytest.mark.parametrize("tier", ["buffer", "logic"])
def test_it_has_no_capabilities(tier, request):
    """Of the kernel's it holds none, and can gain none."""
    status, text = request.getfixturevalue(tier).ask("python", "-c", CAPABILITIES)
    told = dict(line.split(":\t") for line in text.splitlines() if ":\t" in line)
    assert status == 0
    assert {told[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert told["NoNewPrivs"] == "1"
    assert told["Uid"].split()[0] == "10001"


@pytest.mark.parametrize("tier", ["buffer", "logic"])
def test_it_logs_json(tier, request):
    """Every line on standard error is an object with a time, a level and a message."""
    lines = [json.loads(line) for line in request.getfixturevalue(tier).errors()]
    assert lines
    assert all({"time", "level", "message"} <= set(line) for line in lines)


@pytest.mark.parametrize("name", ["condstore-databuffer", "condstore-logic"])
def test_without_a_secret_it_refuses_in_one_line(name, container, owned):
    """An image listens on every interface, so it never starts open by mistake."""
    place = "/volume" if name == "condstore-databuffer" else "/view"
    made = container(name, writable={place: owned(f"open-{name}")})
    assert made.run() == 1
    assert made.output() == []
    (line,) = made.errors()
    assert "cannot start" in line


def test_without_a_volume_it_refuses_in_one_line(container, secrets):
    """A directory of the read-only image is no volume."""
    made = container(
        "condstore-databuffer",
        environ={"BUFFER_TOKEN_FILE": "/secrets/buffer", "SERVURL": ":8099"},
        readable={"/secrets/buffer": secrets["buffer"]},
    )
    assert made.run() == 1
    assert len(made.errors()) == 1, made.errors()


def test_the_health_check_follows_tls(container, owned, secrets, folder):
    """With a certificate for another name, at another port: still itself, still healthy."""
    pair = issue(folder / "tls", "databuff.example")
    pair.key.chmod(0o444)
    made = container(
        "condstore-databuffer",
        environ={
            "BUFFER_TOKEN_FILE": "/secrets/buffer",
            "SERVURL": ":8443",
            "TLS_CERT": "/tls/tls.crt",
            "TLS_KEY": "/tls/tls.key",
        },
        writable={"/volume": owned("volume-tls")},
        readable={"/secrets/buffer": secrets["buffer"], "/tls": folder / "tls"},
    )
    made.start()
    assert "https://" in made.output()[0]
    assert made.ask("python", "-m", "databuffer.probe") == (0, "")
    status, line = made.ask("env", "SERVURL=:8444", "python", "-m", "databuffer.probe")
    assert (status, line.count("\n")) == (1, 1)
    assert made.stop()[0] == 0, made.errors()


@pytest.mark.usefixtures("logic")
def test_the_producer_streams_recorded_strain(container, owned, secrets):
    """What reads strain files loads and reads where only /work can be written."""
    place = owned("work-producer")
    (place / "L1.txt").write_text("".join(f"{1000 + at / 4096} {at % 7}\n" for at in range(1200)))
    made = container(
        "condstore-producer",
        environ={
            "DTCID": "L1",
            "SRV": "http://dslogic:5000/streamdata",
            "CONDSTORE_TOKEN_FILE": "/secrets/admin",
        },
        writable={"/work": place},
        readable={"/secrets/admin": secrets["admin"]},
    )
    assert made.run("L1.txt") == 0, made.errors()
    assert (place / "lastrd.txt").read_text().splitlines()[0] == "1200"


def test_told_to_stop_they_end_well(logic, buffer, volume):
    """SIGTERM to the first process: exit 0, well within a pod's grace; nothing is left behind."""
    for running in (logic, buffer):
        status, seconds = running.stop()
        assert status == 0, running.errors()
        assert seconds < 25
    assert list((volume / "ledger").iterdir())
