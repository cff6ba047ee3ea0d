"""What the environment says of who may do what; the secrets of this tier are here, never shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from datastore_logic import environ as env
from datastore_logic.access.jwks import refuse_unusable
from datastore_logic.access.roles import BadPattern, Role, TagPattern
from datastore_logic.access.secret import Secret
from datastore_logic.errors import BadConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_LEEWAY: Final = 300.0
CLAIMS: Final[Mapping[Role, tuple[str, str]]] = {
    Role.READER: ("CLAIM_READER", "condstore:read"),
    Role.PRODUCER: ("CLAIM_PRODUCER", "b2cdb:createpayload"),
    Role.EDITOR: ("CLAIM_EDITOR", "b2cdb:createiov"),
    Role.ADMIN: ("CLAIM_ADMIN", "b2cdb:admin"),
}
"""The variable that names the claim of each role, and nopayloaddb's name for it."""


def _claims(environ: Mapping[str, str]) -> dict[Role, str]:
    return {role: environ.get(variable) or name for role, (variable, name) in CLAIMS.items()}


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """How JSON Web Tokens are checked: `secret` for HS256, `jwks` (URL or path) for RS256, ES256.

    `issuer` and `audience` are "" where they are not checked; `leeway` is in seconds.
    """

    secret: Secret | None = field(default=None, repr=False)
    jwks: str = ""
    issuer: str = ""
    audience: str = ""
    leeway: float = 30.0
    subject_claim: str = "sub"
    claims: Mapping[Role, str] = field(default_factory=lambda: _claims({}))

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> JwtSettings:
        """Read the JWT_* and CLAIM_* variables.

        Raises:
            BadConfiguration: naming the variable.
        """
        default = cls()
        found = cls(
            secret=Secret.from_environ(environ, "JWT_SECRET"),
            jwks=environ.get("JWT_JWKS") or "",
            issuer=environ.get("JWT_ISSUER") or "",
            audience=environ.get("JWT_AUDIENCE") or "",
            leeway=env.seconds(environ, "JWT_LEEWAY", default.leeway, zero=True, most=MOST_LEEWAY),
            subject_claim=environ.get("JWT_SUBJECT_CLAIM") or default.subject_claim,
            claims=_claims(environ),
        )
        if found.jwks and not (found.issuer and found.audience):
            raise BadConfiguration(
                "JWT_JWKS needs JWT_ISSUER and JWT_AUDIENCE: without them a token that the issuer"
                " made for another service would be good here"
            )
        if found.jwks:
            refuse_unusable(found.jwks)
        return found


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what: all that the environment decides of it.

    `auth` is "", "on" or "off". `read_tags` covers the tags that every verified principal may read.
    """

    auth: str = ""
    reads_authenticated: bool = False
    read_tags: TagPattern | None = None
    jwt: JwtSettings = field(default_factory=JwtSettings)
    admin_token: Secret | None = field(default=None, repr=False)
    buffer_token: Secret | None = field(default=None, repr=False)
    freeze_approvals: int = 1

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Access:
        """Read the variables.

        Raises:
            BadConfiguration: naming the variable, never showing a secret.
        """
        reads = env.one_of(environ, "READS", "anonymous", "anonymous", "authenticated")
        found = cls(
            auth=env.one_of(environ, "AUTH", "", "", "on", "off"),
            reads_authenticated=reads == "authenticated",
            read_tags=_pattern(environ, "READ_TAGS"),
            jwt=JwtSettings.from_environ(environ),
            admin_token=Secret.from_environ(environ, "ADMIN_TOKEN"),
            buffer_token=Secret.from_environ(environ, "BUFFER_TOKEN", separator=","),
            freeze_approvals=env.integer(environ, "FREEZE_APPROVALS", 1, most=2),
        )
        if found.reads_authenticated and not found.configured:
            raise BadConfiguration(
                "READS=authenticated needs authentication: set JWT_SECRET, JWT_JWKS or ADMIN_TOKEN,"
                " and not AUTH=off"
            )
        if found.freeze_approvals > 1 and not found.configured:
            raise BadConfiguration(
                "FREEZE_APPROVALS=2 needs authentication, which tells one person from another: set"
                " JWT_SECRET, JWT_JWKS or ADMIN_TOKEN, and not AUTH=off"
            )
        return found

    @property
    def is_off(self) -> bool:
        """Whether an operator said that everybody may do all."""
        return self.auth == "off"

    @property
    def configured(self) -> bool:
        """Whether callers are told apart."""
        given = self.auth == "on" or self.jwt.secret or self.jwt.jwks or self.admin_token
        return bool(given) and not self.is_off


def _pattern(environ: Mapping[str, str], name: str) -> TagPattern | None:
    text = environ.get(name)
    try:
        return TagPattern.parse(text, name) if text else None
    except BadPattern as reason:
        raise BadConfiguration(str(reason)) from reason
