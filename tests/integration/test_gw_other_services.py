"""The GW producer against services that are not ours, or fail while they answer."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from gw_producer import COMMAND, environ, expected, noise, open_data

SAMPLES = 20 * 300 + 17


class Service:
    """Takes segments; `spoil` may answer a request in its own way, before or after it is kept."""

    def __init__(self, *, keys):
        self.kept: list[dict] = []
        self.keys = keys
        self.known: set[str] = set()
        self.posts = 0
        self.at_once = self.most_at_once = 0
        self.three_at_once = asyncio.Event()
        self.frozen_after: int | None = None

    async def spoil(self, _request):
        """Return another answer than the usual one, or None."""
        return

    async def streamdata(self, request):
        """Keep a segment; one that comes twice is kept twice where keys are not known."""
        self.posts += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.at_once == 3:
            self.three_at_once.set()
        try:
            return await self._streamdata(request)
        finally:
            self.at_once -= 1

    async def _streamdata(self, request):
        body = await request.json()
        await asyncio.sleep(0)
        key = request.headers["Idempotency-Key"]
        if not (self.keys and key in self.known):
            if self.frozen_after is not None and len(self.kept) >= self.frozen_after:
                return web.json_response({"resp": "FROZEN", "body": "Datastore frozen."})
            self.known.add(key)
            self.kept.append(body)
        spoilt = await self.spoil(request)
        return spoilt or web.json_response({"resp": "CREATED", "body": "Written"})

    def application(self):
        """Return the service, which has nothing else."""
        app = web.Application()
        app.router.add_post("/streamdata", self.streamdata)
        return app

    def samples(self):
        """Return every sample by its time, each once."""
        found = {}
        for body in self.kept:
            start, step = body["t"]
            for index, value in enumerate(body["h"]):
                found[start + index * step] = value
        assert len(found) == sum(len(body["h"]) for body in self.kept)
        return found


def as_floats(samples):
    """Return samples by their time as a service without exact decimals has them."""
    return {float(time): value for time, value in expected(samples).items()}


async def produced(folder, service, *words, expect=0):
    """Run the producer against a service in this process; return what it said."""
    async with TestServer(service.application()) as server:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "L1.hdf5", *words, cwd=folder, stderr=asyncio.subprocess.PIPE,
            env=environ(SRV=str(server.make_url("/streamdata")), DTCID="L1", GWID="GW150914"),
        )  # fmt: skip
        _, said = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode == expect, said.decode()
    assert b"Traceback" not in said
    return said.decode()


@pytest.fixture
def here(tmp_path):
    """Return a folder with a file of 21 segments."""
    open_data(tmp_path / "L1.hdf5", noise(SAMPLES))
    return tmp_path


class Unhurried(Service):
    """Answers nobody before three ask at once."""

    async def spoil(self, _request):
        """Wait for the other two."""
        await asyncio.wait_for(self.three_at_once.wait(), 60)


async def test_the_twins_original_gets_what_it_knows(here):
    """It knows neither ?type nor a key nor any other path: three at once, each sample once."""
    original = Unhurried(keys=False)
    said = await produced(here, original)
    assert f"{SAMPLES} of {SAMPLES} samples are stored" in said
    assert (original.posts, original.most_at_once) == (21, 3)
    assert original.samples() == as_floats(noise(SAMPLES))
    assert all(set(body) == {"h", "t"} for body in original.kept)


async def test_the_originals_frozen_stops_it_too(here):
    """Every failure of the original is called FROZEN; the position is that of what is stored."""
    original = Service(keys=False)
    original.frozen_after = 9
    said = await produced(here, original, expect=1)
    assert "Datastore frozen. Nothing is lost" in said
    assert (here / "lastrd.txt").read_text().splitlines()[0] == "2700"
    original.frozen_after = None
    await produced(here, original)
    assert original.samples() == as_floats(noise(SAMPLES))


class Breaking(Service):
    """Keeps every segment and fails while it answers, in another way each time."""

    def __init__(self):
        super().__init__(keys=True)
        self.tried: dict[str, int] = {}

    async def spoil(self, request):
        """Fail twice for each segment, then let it be."""
        key = request.headers["Idempotency-Key"]
        self.tried[key] = tries = self.tried.get(key, -1) + 1
        if tries >= 2:
            return None
        way = (len(self.tried) + tries) % 4
        if way == 0:
            request.transport.abort()
            return web.Response()
        if way == 1:
            return web.json_response({"detail": "busy"}, status=503, headers={"Retry-After": "0"})
        if way == 2:
            return web.Response(text="<html>bad gateway</html>", status=502)
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"resp":"CREA')
        request.transport.close()
        return response


async def test_answers_that_break_off_are_asked_for_again(here):
    """Under the same key: what was kept though nobody heard of it is kept once."""
    breaking = Breaking()
    await produced(here, breaking)
    assert breaking.posts >= 2 * 21
    assert set(breaking.tried.values()) == {2}
    assert breaking.samples() == as_floats(noise(SAMPLES))


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (200, "hello", "SRV must be the URL of /streamdata"),
        (200, "[]", "SRV must be the URL of /streamdata"),
        (200, '{"resp":"WAITING"}', "SRV must be the URL of /streamdata"),
        (302, "", "SRV must be the URL of /streamdata"),
        (404, '{"detail":"Not Found"}', "Not Found (404"),
        (422, '{"detail":[{"loc":["body","h"],"msg":"field required"}]}', "field required"),
        (507, '{"resp":"ERROR","detail":"no space left","code":"ERRIO"}', "no space left (507"),
        (500, "Internal error!", "Internal error! (500"),
    ],
)
async def test_what_is_no_success_is_never_taken_for_one(here, status, text, words):
    """Exit 1, the service's own words, and the position stays where it was."""
    service = Service(keys=True)

    async def spoil(_request):
        return web.Response(status=status, text=text)

    service.spoil = spoil
    assert words in await produced(here, service, expect=1)
    assert (here / "lastrd.txt").read_text().splitlines()[0] == "0"


async def test_only_what_is_stored_with_all_before_it_is_counted(here):
    """Of three at once the second fails for good: the first counts, the third comes again."""
    service = Service(keys=True)
    second = sorted(as_floats(noise(SAMPLES)))[300]

    async def spoil(request):
        failed = (await request.json())["t"][0] == second
        return web.Response(status=400, text="no") if failed else None

    service.spoil = spoil
    await produced(here, service, expect=1)
    assert (here / "lastrd.txt").read_text().splitlines()[0] == "300"
    service.spoil = Service(keys=True).spoil
    await produced(here, service)
    assert service.samples() == as_floats(noise(SAMPLES))


async def test_the_position_is_written_before_anything_is_sent(here):
    """So that whoever is killed at once begins with the same keys."""
    seen = []
    service = Service(keys=True)

    async def spoil(_request):
        seen.append((here / "lastrd.txt").read_text().splitlines()[0])

    service.spoil = spoil
    await produced(here, service, "--once")
    assert seen == ["0", "0", "0"]
