"""Starting the databuffer's application, where that fails half way."""

from __future__ import annotations

import pytest
from aiohttp import web

from databuffer.web.server import Runner


async def test_what_has_begun_ends_where_the_rest_cannot_begin():
    """At once: what is left to the closing of the loop complains there, in a second line."""
    ended = []

    async def follows_a_file(_):
        yield
        ended.append("following")

    async def has_no_volume(_):
        raise OSError("no volume")
        yield

    app = web.Application()
    app.cleanup_ctx.extend([follows_a_file, has_no_volume])
    with pytest.raises(OSError, match="no volume"):
        await Runner(app, header_timeout=1.0).setup()
    assert ended == ["following"]
