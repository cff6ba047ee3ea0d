"""What each route needs: THE table. A route that is not in it does not work, and a test fails.

Keyed by endpoint, as Flask names it: blueprint and handler. docs/security.md prints the table by
method and path; a test compares them.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from datastore_logic.access.roles import Role

if TYPE_CHECKING:
    from collections.abc import Mapping


class Need(Enum):
    """What a route needs that is no role."""

    OPEN = "open"
    """Nothing, ever: is it alive, what does the API look like, how does one sign in."""
    READ = "read"
    """Nothing; the role of a reader where READS=authenticated."""
    VERIFIED = "verified"
    """A credential, whatever it grants."""


OPEN, READ, VERIFIED = Need.OPEN, Need.READ, Need.VERIFIED
PRODUCER, EDITOR, ADMIN = Role.PRODUCER, Role.EDITOR, Role.ADMIN

ROUTES: Final[Mapping[str, Need | Role]] = MappingProxyType(
    {
        # alive, ready, counted
        "health.livez": OPEN,
        "health.readyz": OPEN,
        "health.expose": READ,
        # pages
        "static": OPEN,
        "pages.status": READ,
        "sign_in.form": OPEN,
        "sign_in.enter": OPEN,
        "sign_in.leave": OPEN,
        # the streaming buffer, contract B
        "stream.bufstat": READ,
        "stream.dsdesc": READ,
        "stream.dumpflog": READ,
        "stream.dumpf": READ,
        "stream.stream": PRODUCER,
        "stream.freezeds": ADMIN,
        "stream.flushbuf": ADMIN,
        # the streaming buffer, contract C
        "glitchflow.stats": READ,
        "glitchflow.desc": READ,
        "glitchflow.dumpbuf": READ,
        "glitchflow.dspage": READ,
        "glitchflow.streamdata": PRODUCER,
        "glitchflow.train": ADMIN,
        "glitchflow.cleanbuf": ADMIN,
        # our own API
        "v1.openapi": OPEN,
        "v1.docs": OPEN,
        "v1.list_tags": READ,
        "v1.show_tag": READ,
        "v1.check_tag": READ,
        "v1.diff_tags": READ,
        "v1.tag_history": READ,
        "v1.payloads": READ,
        "v1.resolve_many": READ,
        "v1.list_iovs": READ,
        "v1.list_segments": READ,
        "v1.list_types": READ,
        "v1.show_list": READ,
        "v1.payload": READ,
        "v1.payload_link": READ,
        "v1.missing_payloads": READ,
        "v1.store_payload": PRODUCER,
        "v1.insert_iovs": EDITOR,
        "v1.create_type": PRODUCER,
        "v1.create_list": PRODUCER,
        "v1.attach_list": EDITOR,
        "v1.detach_list": EDITOR,
        "v1.create_tag": ADMIN,
        "v1.clone_tag": ADMIN,
        "v1.lock": ADMIN,
        "v1.unlock": ADMIN,
        "v1.freeze": ADMIN,
        "v1.withdraw_freeze": ADMIN,
        "v1.unfreeze": ADMIN,
        "v1.delete_tag": ADMIN,
        "v1.delete_list": ADMIN,
        "v1.delete_type": ADMIN,
        "v1.delete_iov": ADMIN,
        # who asks, and what they give others
        "v1.whoami": VERIFIED,
        "v1.list_tokens": ADMIN,
        "v1.make_token": ADMIN,
        "v1.revoke_token": VERIFIED,
        # the store as a whole: by an admin of every tag, which the handler sees to
        "v1.make_checkpoint": ADMIN,
        # nopayloaddb's API; old and new names of a route are one endpoint
        "cdb_rest.list_statuses": READ,
        "cdb_rest.list_tags": READ,
        "cdb_rest.list_nested_tags": READ,
        "cdb_rest.show_tag": READ,
        "cdb_rest.show_tag_by_id": READ,
        "cdb_rest.list_names": READ,
        "cdb_rest.list_types": READ,
        "cdb_rest.list_lists": READ,
        "cdb_rest.show_list": READ,
        "cdb_rest.show_list_by_id": READ,
        "cdb_rest.list_iovs": READ,
        "cdb_rest.show_iov": READ,
        "cdb_rest.query": READ,
        "cdb_rest.setting": READ,
        "cdb_rest.timeout": READ,
        "cdb_rest.pages": READ,
        "cdb_rest.create_type": PRODUCER,
        "cdb_rest.create_list": PRODUCER,
        "cdb_rest.create_iov": PRODUCER,
        "cdb_rest.attach_list": EDITOR,
        "cdb_rest.create_iovs": EDITOR,
        "cdb_rest.attach_iov": EDITOR,
        "cdb_rest.create_status": ADMIN,
        "cdb_rest.create_tag": ADMIN,
        "cdb_rest.clone_tag": ADMIN,
        "cdb_rest.change_status": ADMIN,
        "cdb_rest.delete_tag": ADMIN,
        "cdb_rest.delete_list": ADMIN,
        "cdb_rest.delete_type": ADMIN,
        "cdb_rest.delete_iov": ADMIN,
    }
)
