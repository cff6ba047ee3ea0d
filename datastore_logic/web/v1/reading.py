"""The OpenAPI document as a page shows it: operations by group, fields in words, no `$ref`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Node = dict[str, Any]

METHODS: Final = ("get", "head", "post", "put", "delete")
LARGEST: Final = 2**63 - 1
ANY_LSN: Final = 10**17
WIDTH: Final = 96


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter or a property: its type is in words, `link` the schema that says more."""

    name: str
    words: str
    link: str | None
    needed: bool
    description: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation may answer."""

    status: str
    description: str
    link: str | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    body_link: str | None
    body_needed: bool
    answers: tuple[Answer, ...]
    example: str | None
    curl: str


@dataclass(frozen=True, slots=True)
class Group:
    """Operations about one thing."""

    id: str
    name: str
    description: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """A schema: what it is in words, and its properties if it is an object."""

    name: str
    words: str
    description: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A word for programs, and when it is said."""

    status: str
    code: str
    meaning: str


class Document:
    """An OpenAPI document of the form that openapi.json has."""

    def __init__(self, document: Node) -> None:
        self._document = document
        info = document["info"]
        self.title: str = info["title"]
        self.version: str = info["version"]
        self.summary: str = info["summary"]
        self.paragraphs: list[str] = info["description"].split("\n\n")
        self.server: str = document["servers"][0]["url"]

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The operations by what they are about, in the document's order."""
        found = list(self._operations())
        return tuple(
            Group(
                tag["name"].lower().replace(" ", "-"),
                tag["name"],
                tag["description"],
                tuple(operation for group, operation in found if group == tag["name"]),
            )
            for tag in self._document["tags"]
        )

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Every schema but those of errors, which all look alike."""
        return tuple(
            Shape(name, in_words(schema)[0], schema.get("description", ""), _properties(schema))
            for name, schema in self._document["components"]["schemas"].items()
            if not name.endswith("Error")
        )

    @cached_property
    def codes(self) -> tuple[Code, ...]:
        """Every error code."""
        return tuple(
            Code(status, code, meaning)
            for status, codes in self._document["x-error-codes"].items()
            for code, meaning in codes.items()
        )

    @property
    def refused(self) -> frozenset[str]:
        """The statuses that have codes."""
        return frozenset(self._document["x-error-codes"])

    def _operations(self) -> Iterator[tuple[str, Operation]]:
        for path, methods in self._document["paths"].items():
            for method in METHODS:
                if method in methods:
                    told = methods[method]
                    yield told["tags"][0], self._operation(path, method, told)

    def _operation(self, path: str, method: str, told: Node) -> Operation:
        parameters = [self._found(parameter) for parameter in told["parameters"]]
        body = told.get("requestBody")
        body_link = _link(body["content"]) if body else None
        sent = _example(body["content"]) if body else None
        return Operation(
            told["operationId"],
            method.upper(),
            self.server + path,
            told["summary"],
            told["description"],
            tuple(map(_parameter, parameters)),
            self._fields(body_link),
            body_link,
            bool(body and body["required"]),
            tuple(self._answer(status, each) for status, each in told["responses"].items()),
            self._answered(told["responses"]),
            _curl(self.server + path, method, parameters, sent, is_bytes=_is_bytes(body)),
        )

    def _fields(self, name: str | None) -> tuple[Field, ...]:
        return _properties(self._document["components"]["schemas"][name]) if name else ()

    def _answer(self, status: str, told: Node) -> Answer:
        found = self._found(told)
        link = _link(found.get("content", {}))
        is_error = link is not None and link.endswith("Error")
        return Answer(status, found["description"], None if is_error else link)

    def _answered(self, responses: Node) -> str | None:
        for status in ("201", "200"):
            if (example := _example(responses.get(status, {}).get("content", {}))) is not None:
                return _pretty(example)
        return None

    def _found(self, told: Node) -> Node:
        if "$ref" not in told:
            return told
        _, _, kind, name = told["$ref"].split("/")
        found: Node = self._document["components"][kind][name]
        return found


def in_words(schema: Node) -> tuple[str, str | None]:
    """Return what a schema allows in a few words, and the schema that says more, if any.

    >>> in_words({"type": ["integer", "null"], "minimum": 1, "maximum": 1000})
    ('integer 1 … 1000 or null', None)
    >>> in_words({"type": "array", "items": {"$ref": "#/components/schemas/Moment"}})
    ('array of Moment', 'Moment')
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return name, name
    if "oneOf" in schema:
        each = [in_words(one) for one in schema["oneOf"]]
        return " or ".join(words for words, _ in each), next(
            filter(None, (e[1] for e in each)), None
        )
    if schema.get("type") == "array":
        words, link = in_words(schema["items"])
        return f"array of {words}", link
    return _simple(schema), None


def _simple(schema: Node) -> str:
    if "enum" in schema:
        return " | ".join(schema["enum"])
    if "const" in schema:
        return _pretty(schema["const"])
    kinds = schema.get("type", "anything")
    first, *rest = kinds if isinstance(kinds, list) else [kinds]
    return " or ".join([f"{first}{_range(schema)}", *rest])


def _range(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is None or most is None or (most > ANY_LSN and most != LARGEST):
        return f" from {least}" if least else ""
    return f" {least} … {'2^63-1' if most == LARGEST else most}"


def _properties(schema: Node) -> tuple[Field, ...]:
    needed = schema.get("required", ())
    return tuple(
        Field(name, *in_words(told), name in needed, told.get("description", ""))
        for name, told in schema.get("properties", {}).items()
    )


def _parameter(told: Node) -> Field:
    words, link = in_words(told["schema"])
    if "default" in told["schema"]:
        words = f"{words}, {told['schema']['default']} if left out"
    return Field(
        told["name"], words, link, told.get("required", False), told["description"], told["in"]
    )


def _is_bytes(body: Node | None) -> bool:
    return body is not None and "application/octet-stream" in body["content"]


def _link(content: Node) -> str | None:
    schema = content.get("application/json", {}).get("schema")
    return in_words(schema)[1] if schema else None


def _example(content: Node) -> object:
    return content.get("application/json", {}).get("example")


def _pretty(value: object, indent: int = 0) -> str:
    """Return JSON on one line where it fits, else a line an item.

    >>> _pretty({"start": [1, 0], "end": None})
    '{"start": [1, 0], "end": null}'
    """
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent <= WIDTH or not isinstance(value, (dict, list)):
        return flat
    inner = indent + 2
    if isinstance(value, dict):
        items = [f"{json.dumps(name)}: {_pretty(each, inner)}" for name, each in value.items()]
        begin, end = "{}"
    else:
        items, (begin, end) = [_pretty(each, inner) for each in value], "[]"
    gap = f"\n{' ' * inner}"
    return f"{begin}{gap}{f',{gap}'.join(items)}\n{' ' * indent}{end}"


def _curl(path: str, method: str, parameters: list[Node], sent: object, *, is_bytes: bool) -> str:
    """Return a line for the shell that calls it with the examples of what must be there."""
    query = []
    for told in parameters:
        if told["in"] == "path":
            path = path.replace(f"{{{told['name']}}}", str(told["example"]))
        elif told["in"] == "query" and told.get("required"):
            query.append(f"{told['name']}={told['example']}")
    url = f"$CONDSTORE{path}" + (f"?{'&'.join(query)}" if query else "")
    flags = {"get": "", "post": "", "head": " --head"}.get(method, f" -X {method.upper()}")
    if method == "post" and sent is None and not is_bytes:
        flags = " -X POST"
    if is_bytes:
        flags = " --data-binary @payload"
    line = f'curl -sS{flags} "{url}"'
    return line if sent is None else f"{line} \\\n  -d '{_pretty(sent)}'"
