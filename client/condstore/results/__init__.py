"""What the servers answer, as values; each idea in its own module, all of them named here."""

from condstore.results.buffer import Buffer, FreezeAsked, Readiness, Stored, Validity
from condstore.results.checkpoint import Checkpoint
from condstore.results.parsing import Json, parse
from condstore.results.payloads import Blob, Inserted, NewIOV, Payload, PayloadIOV, Resolution
from condstore.results.review import (
    Change,
    ComparedPayload,
    Difference,
    Place,
    PreflightReport,
    Span,
    Tally,
    TypeReport,
)
from condstore.results.standing import TagStanding
from condstore.results.tags import (
    Act,
    FreezeProposal,
    FreezeProposed,
    HeldList,
    PayloadListInfo,
    PayloadType,
    Tag,
    TagContent,
    TagFrozen,
    newest_archive,
    read_freeze,
)
from condstore.results.tokens import ApiToken, Grant, NewToken, PayloadLink, Whoami

__all__ = [
    "Act",
    "ApiToken",
    "Blob",
    "Buffer",
    "Change",
    "Checkpoint",
    "ComparedPayload",
    "Difference",
    "FreezeAsked",
    "FreezeProposal",
    "FreezeProposed",
    "Grant",
    "HeldList",
    "Inserted",
    "Json",
    "NewIOV",
    "NewToken",
    "Payload",
    "PayloadIOV",
    "PayloadLink",
    "PayloadListInfo",
    "PayloadType",
    "Place",
    "PreflightReport",
    "Readiness",
    "Resolution",
    "Span",
    "Stored",
    "Tag",
    "TagContent",
    "TagFrozen",
    "TagStanding",
    "Tally",
    "TypeReport",
    "Validity",
    "Whoami",
    "newest_archive",
    "parse",
    "read_freeze",
]
