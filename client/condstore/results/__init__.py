"""What the servers answer, as values; each idea in its own module, all of them named here."""

from condstore.results.buffer import Buffer, FreezeAsked, Readiness, Stored, Validity
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
    HeldList,
    PayloadListInfo,
    PayloadType,
    Tag,
    TagContent,
    TagFrozen,
    newest_archive,
)

__all__ = [
    "Act",
    "Blob",
    "Buffer",
    "Change",
    "ComparedPayload",
    "Difference",
    "FreezeAsked",
    "HeldList",
    "Inserted",
    "Json",
    "NewIOV",
    "Payload",
    "PayloadIOV",
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
    "newest_archive",
    "parse",
]
