"""Who may do what."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt
from pytest_mock import MockerFixture

from sojourn.adapters.google_tokens import GoogleTokenVerifier
from sojourn.domain.errors import SettingsInvalid, Unauthenticated, Unavailable
from sojourn.runtime.api.access import Role, access_of
from sojourn.runtime.api.app import make_app
from sojourn.runtime.application import InMemory
from sojourn.runtime.settings import read_settings
from tests.api.conftest import ACCESS, WELCOME, bearer

JOURNEYS = "/v1/journeys"
AUDIENCE = "https://api.example.com"
NOW_SECONDS = int(time.time())


@pytest.fixture
def client(memory: InMemory) -> Any:
    """The API with tokens."""
    return make_app(lambda: ACCESS).test_client()


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dmVyYTp4", "Bearer stranger"])
def test_who_does_not_say_who_they_are_is_401(client: Any, header: str | None) -> None:
    answer = client.get(f"{JOURNEYS}?bot_id=b", headers={"Authorization": header} if header is not None else {})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json["type"] == "urn:sojourn:unauthenticated"


def test_a_token_without_its_signature_is_401_and_says_what_to_do(client: Any) -> None:
    answer = client.get("/v1/audit", headers=bearer("a.b.SIGNATURE_REMOVED_BY_GOOGLE"))
    assert answer.status_code == 401
    assert "X-Serverless-Authorization" in answer.json["detail"]


@pytest.mark.parametrize(
    ("name", "statuses"),
    [("nemo", (403, 403, 403)), ("vera", (200, 403, 403)), ("arthur", (200, 201, 403)), ("olga", (200, 201, 200))],
)
def test_each_role_may_what_the_one_before_it_may(client: Any, name: str, statuses: tuple[int, ...]) -> None:
    client.post(JOURNEYS, json={**WELCOME, "id": "there"}, headers=bearer("olga"))
    answers = (
        client.get(f"{JOURNEYS}/there", headers=bearer(name)),
        client.post(JOURNEYS, json=WELCOME, headers=bearer(name)),
        client.post(f"{JOURNEYS}/there/publish", headers=bearer(name)),
    )
    assert tuple(answer.status_code for answer in answers) == statuses


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("vera", "vera@example.com has the role viewer; this needs the role operator"),
        ("nemo", "nemo@example.com has no role; this needs the role operator"),
    ],
)
def test_who_may_not_hears_which_role_it_takes(client: Any, name: str, detail: str) -> None:
    answer = client.get("/v1/audit", headers=bearer(name))
    assert (answer.status_code, answer.json["detail"]) == (403, detail)


def test_health_and_the_document_need_no_token(client: Any) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/openapi.json").status_code == 200


def test_open_access_is_for_emulators_alone() -> None:
    with pytest.raises(SettingsInvalid, match="SOJOURN_API_ACCESS"):
        access_of(read_settings({"SOJOURN_API_ACCESS": "open"}))
    settings = read_settings({"SOJOURN_API_ACCESS": "open", "FIRESTORE_EMULATOR_HOST": "127.0.0.1:1"})
    assert access_of(settings).verifier is None


def test_tokens_need_an_audience() -> None:
    with pytest.raises(SettingsInvalid, match="SOJOURN_API_AUDIENCE"):
        access_of(read_settings({}))


def test_the_greatest_role_of_a_principal_counts_whatever_the_case_of_letters() -> None:
    roles = {"operator": ["Olga@Example.com"], "viewer": ["olga@example.com", "vera@example.com"]}
    environment = {"SOJOURN_API_AUDIENCE": AUDIENCE, "SOJOURN_API_ROLES": json.dumps(roles)}
    access = access_of(read_settings(environment))
    assert access.roles == {"olga@example.com": Role.OPERATOR, "vera@example.com": Role.VIEWER}


def test_without_settings_nobody_gets_in_and_the_log_says_which_is_missing(
    memory: InMemory, capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_app(lambda: access_of(read_settings({}))).test_client()
    assert client.get("/v1/audit").status_code == 500
    assert "SOJOURN_API_AUDIENCE" in capsys.readouterr().out


Sign = Callable[..., str]


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def public(key: rsa.RSAPrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form).decode()


@pytest.fixture
def sign(key: rsa.RSAPrivateKey) -> Sign:
    """A token as Google issues it; a claim that is given None is left out."""

    def signed(**claims: Any) -> str:
        given = {
            "iss": "https://accounts.google.com",
            "aud": AUDIENCE,
            "email": "Olga@example.com",
            "email_verified": True,
            "iat": NOW_SECONDS - 60,
            "exp": NOW_SECONDS + 86_400,
            **claims,
        }
        signer: Any = crypt.RSASigner
        encode: Any = jwt.encode  # google-auth has no types for either
        return str(
            encode(signer(key, key_id="k1"), {name: value for name, value in given.items() if value is not None}).decode()
        )

    return signed


def test_a_token_of_google_s_names_its_principal(sign: Sign, public: str) -> None:
    assert GoogleTokenVerifier(AUDIENCE, fetch=lambda: {"k1": public}).principal(sign()) == "olga@example.com"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://elsewhere.example.com"},
        {"iss": "https://accounts.example.com"},
        {"exp": NOW_SECONDS - 120, "iat": NOW_SECONDS - 240},
        {"iat": NOW_SECONDS + 43_200},  # the tests may run for longer than ten minutes
        {"email": None},
        {"email_verified": False},
    ],
)
def test_a_token_that_proves_too_little_is_refused(sign: Sign, public: str, claims: dict[str, object]) -> None:
    with pytest.raises(Unauthenticated):
        GoogleTokenVerifier(AUDIENCE, fetch=lambda: {"k1": public}).principal(sign(**claims))


@pytest.mark.parametrize("spoil", [lambda token: token[:-8] + "AAAAAAAA", lambda token: "x", lambda token: "é.é.é"])
def test_a_token_that_was_tampered_with_is_refused(sign: Sign, public: str, spoil: Callable[[str], str]) -> None:
    with pytest.raises(Unauthenticated):
        GoogleTokenVerifier(AUDIENCE, fetch=lambda: {"k1": public}).principal(spoil(sign()))


def test_keys_are_fetched_once(sign: Sign, public: str) -> None:
    fetched: list[str] = []

    def fetch() -> dict[str, str]:
        fetched.append("once")
        return {"k1": public}

    verifier = GoogleTokenVerifier(AUDIENCE, fetch=fetch)
    assert [verifier.principal(sign()) for _ in range(3)] == ["olga@example.com"] * 3
    assert fetched == ["once"]


def test_keys_that_cannot_be_had_are_503(memory: InMemory, mocker: MockerFixture) -> None:
    verifier = mocker.Mock()
    verifier.principal.side_effect = Unavailable("Google's certificates: timeout")
    access = type(ACCESS)(verifier, {})
    answer = make_app(lambda: access).test_client().get("/v1/audit", headers=bearer("x"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
