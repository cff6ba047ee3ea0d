"""Places for writes: a bounded number, and none for who is waited for."""

import asyncio

import pytest

from databuffer.errors import Busy
from databuffer.gate import Places


async def test_who_finds_no_place_in_time_is_told_so():
    """After the patience is over; a place given up is taken at once."""
    places = Places(1, 0.01)
    async with places.place():
        with pytest.raises(Busy):
            async with places.place():
                pass
    async with places.place():
        assert places.taken == 1
    assert places.taken == 0


async def test_a_place_is_free_while_its_holder_is_waited_for():
    """Others write meanwhile; who has waited writes again only with a place."""
    places, come, gone = Places(1, 5), asyncio.Event(), asyncio.Event()

    async def dawdle():
        async with places.place() as place:
            async with place.while_waiting(0):
                await come.wait()
            assert places.taken == 1
            gone.set()

    dawdling = asyncio.create_task(dawdle())
    async with asyncio.timeout(5):
        await asyncio.sleep(0)  # it takes its place
        async with places.place():  # and gives it up
            come.set()
            await asyncio.sleep(0.01)
            assert not gone.is_set()
            assert places.taken == 1
        await dawdling
    assert places.taken == 0


async def test_a_short_wait_keeps_the_place():
    """A sender who is quick loses it to nobody."""
    places = Places(1, 0.01)
    async with places.place() as place:
        async with place.while_waiting(60):
            await asyncio.sleep(0)
            with pytest.raises(Busy):
                async with places.place():
                    pass
        assert places.taken == 1


async def test_who_breaks_off_while_waited_for_leaves_the_places_as_they_were():
    """Neither one too many nor one too few."""
    places = Places(2, 1)

    async def break_off(patience):
        async with places.place() as place, place.while_waiting(patience):
            await asyncio.sleep(0.005)
            raise ConnectionError

    for patience in (0, 60):
        with pytest.raises(ConnectionError):
            await break_off(patience)
        assert places.taken == 0
    async with places.place(), places.place():
        assert places.taken == 2
