"""What is there, under one name: for who reads several of its modules."""

from datastore_logic.view.buffer import (
    FROZEN,
    BufferRow,
    FileRow,
    LinkRow,
    buffer,
    buffer_files,
    link,
)
from datastore_logic.view.fingerprints import tag_fingerprint
from datastore_logic.view.lists import ListRow, lists_of
from datastore_logic.view.tags import TagRow, count_tags, find_tag, newest_tags, tag_named, tags

__all__ = [
    "FROZEN", "BufferRow", "FileRow", "LinkRow", "ListRow", "TagRow", "buffer", "buffer_files",
    "count_tags", "find_tag", "link", "lists_of", "newest_tags", "tag_fingerprint", "tag_named",
    "tags",
]  # fmt: skip
