"""Routes as data, from which blueprints are made: one that answers requests, and one for the OpenAPI document.

flask-openapi3 makes the schemas of a route with the route. Those of all routes were a quarter of a cold start
(`python -m bench --only cold-start`), and hardly any instance is asked for the document.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from sojourn.runtime.api.problems import problem_responses

SCHEME = "google"
"""The security scheme of the OpenAPI document."""

View = TypeVar("View", bound=Callable[..., object])


class Routes:
    """The routes of one part of the API, under a prefix.

    Those of a guarded part need a role: the document says that they take a token, and which problems they may answer.
    """

    def __init__(self, name: str, url_prefix: str | None = "/v1", *, guarded: bool = True) -> None:
        self._about: dict[str, Any] = {"name": name, "url_prefix": url_prefix}
        if guarded:
            self._about |= {"abp_tags": [Tag(name=name)], "abp_security": [{SCHEME: []}], "abp_responses": problem_responses()}
        self._routes: list[tuple[str, str, dict[str, Any], Callable[..., object]]] = []

    def get(self, rule: str, **about: Any) -> Callable[[View], View]:
        """Answer GET at `rule`, a Flask rule; `about` as flask-openapi3 takes it. So the other three."""
        return self._answer("get", rule, about)

    def post(self, rule: str, **about: Any) -> Callable[[View], View]:
        return self._answer("post", rule, about)

    def put(self, rule: str, **about: Any) -> Callable[[View], View]:
        return self._answer("put", rule, about)

    def delete(self, rule: str, **about: Any) -> Callable[[View], View]:
        return self._answer("delete", rule, about)

    def _answer(self, method: str, rule: str, about: dict[str, Any]) -> Callable[[View], View]:
        def keep(view: View) -> View:
            self._routes.append((method, rule, about, view))
            return view

        return keep

    def blueprint(self, *, documented: bool) -> APIBlueprint:
        """A new blueprint, with its part of the OpenAPI document or without."""
        made = APIBlueprint(import_name=__name__, operation_id_callback=_operation_id, doc_ui=documented, **self._about)
        for method, rule, about, view in self._routes:
            getattr(made, method)(rule, **about)(view)
        return made


def _operation_id(*, name: str, path: str, method: str) -> str:
    """The view's own name: each is there once."""
    return name
