"""Who may do what: a principal by Google ID token, and roles by principal from the settings.

Each role may do what the one before it may: viewer reads, author writes drafts and members, operator lets journeys and members
move.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar

from flask import Request

from sojourn.application.ports import TokenVerifier
from sojourn.domain.errors import Forbidden, SettingsInvalid, Unauthenticated
from sojourn.runtime.settings import Settings

LOCAL_PRINCIPAL = "local"
SIGNATURE_REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"

View = TypeVar("View", bound=Callable[..., object])


class Role(IntEnum):
    """What a principal may do; a greater one includes the lesser."""

    NOBODY = 0
    VIEWER = 1
    AUTHOR = 2
    OPERATOR = 3


def needs(role: Role) -> Callable[[View], View]:
    """Mark a view with the role it needs; one that is not marked needs the greatest."""

    def mark(view: View) -> View:
        view.role = role  # type: ignore[attr-defined]  # functions take attributes, their types do not say so
        return view

    return mark


def needed_by(view: object) -> Role:
    """The role that a view was marked with."""
    return getattr(view, "role", Role.OPERATOR)


@dataclass(frozen=True, slots=True)
class Access:
    """`verifier` None: open, everybody is the local operator."""

    verifier: TokenVerifier | None = None
    roles: Mapping[str, Role] = field(default_factory=dict)

    def principal(self, request: Request, role: Role) -> str:
        """Who asks, if they have the role. Raises Unauthenticated, Forbidden."""
        if self.verifier is None:
            return LOCAL_PRINCIPAL
        principal = self.verifier.principal(_token(request))
        has = self.roles.get(principal.lower(), Role.NOBODY)
        if has < role:
            word = f"has the role {has.name.lower()}" if has else "has no role"
            raise Forbidden(f"{principal} {word}; this needs the role {role.name.lower()}")
        return principal


def access_of(settings: Settings) -> Access:
    """Access as the settings say. Raises SettingsInvalid: open is for emulators, tokens need an audience."""
    if settings.api_access == "open":
        if not settings.firestore_emulator_host:
            raise SettingsInvalid("environment variable SOJOURN_API_ACCESS: open is for emulators alone")
        return Access()
    if not settings.api_audience:
        raise SettingsInvalid("environment variable SOJOURN_API_AUDIENCE: missing; tokens are issued for the url of the api")
    from sojourn.adapters.google_tokens import GoogleTokenVerifier

    by_role = sorted((Role[name.upper()], principals) for name, principals in settings.api_roles.items())
    roles = {principal.lower(): role for role, principals in by_role for principal in principals}
    return Access(GoogleTokenVerifier(settings.api_audience), roles)


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("send a Google ID token, as Authorization: Bearer")
    if token.strip().endswith(SIGNATURE_REMOVED):
        raise Unauthenticated("Cloud Run took the token's signature away: send it in X-Serverless-Authorization as well")
    return token.strip()
