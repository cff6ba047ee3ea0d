"""The newest lines of the ledger in memory: dense, bounded, and the same as on disk."""

from __future__ import annotations

from databuffer.store.disk import Disk
from databuffer.store.protocols import NewEntry
from databuffer.store.tail import Tail
from databuffer.store.volume_ledger import VolumeLedger


def test_a_page_begins_where_asked_and_ends_at_the_limit_or_the_head():
    """Any stretch of what is kept comes back as whole lines, with the last LSN among them."""
    tail = Tail(100)
    tail.add(1, [b"one", b"two"])
    tail.add(3, [b"three"])
    assert (tail.page(0, 2).lines, tail.page(0, 2).last) == (b"one\ntwo\n", 2)
    assert (tail.page(1, 9).lines, tail.page(1, 9).last) == (b"two\nthree\n", 3)
    assert tail.page(3, 9) is None


def test_the_oldest_lines_are_let_go():
    """What was pushed out is not there, and what is left is still dense; no line is too long."""
    tail = Tail(10)
    tail.add(1, [b"aaaa", b"bbbb", b"cccc"])
    assert tail.page(0, 9) is None
    assert tail.page(1, 9).lines == b"bbbb\ncccc\n"
    tail.add(4, [b"d" * 11])
    assert tail.page(3, 9) is None
    tail.add(5, [b"eeee"])
    assert tail.page(4, 9).lines == b"eeee\n"


async def test_memory_and_disk_tell_the_same(tmp_path):
    """A follower reads the same bytes from the process that wrote them and from the next one."""
    disk = Disk(2, "test")
    written = []
    for _ in range(2):
        ledger = VolumeLedger(tmp_path / "ledger", disk, 2000)
        await ledger.open()
        if not written:
            for number in range(40):
                await ledger.append(NewEntry("test.made", "tester", b'{"n":%d}' % number, ("k",)))
        written.append([(await ledger.read(after, 7)).lines for after in range(0, 40, 3)])
        await ledger.close()
    assert written[0] == written[1]
    disk.close()
