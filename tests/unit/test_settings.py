"""Settings: the environment in, one frozen object out; a wrong value is named by its variable."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sojourn.domain.errors import SettingsInvalid
from sojourn.runtime.settings import VARIABLES, Settings, read_settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()
    assert read_settings(dict.fromkeys(VARIABLES.values(), "")) == Settings()


def test_every_field_has_a_variable() -> None:
    assert set(VARIABLES) == set(Settings.model_fields)


def test_what_is_set_counts_and_the_rest_of_the_environment_does_not() -> None:
    found = read_settings({"SOJOURN_SHARDS": "64", "GOOGLE_CLOUD_PROJECT": "shop", "PATH": "/bin", "SOJOURN_OTHER": "1"})
    assert (found.shards, found.project) == (64, "shop")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOJOURN_SHARDS", "0"),
        ("SOJOURN_SHARDS", "1025"),
        ("SOJOURN_SHARDS", "eight"),
        ("SOJOURN_SHARDS", "8.5"),
        ("SOJOURN_MAX_NODES_PER_HOP", "-1"),
        ("SOJOURN_MAX_NODES_PER_HOP", "9" * 5_000),
    ],
)
def test_a_wrong_value_is_refused_by_the_variables_name(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"^environment variable {name}: (Input should|Unable to parse) ") as raised:
        read_settings({name: value})
    assert len(str(raised.value)) < 500


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Settings(), "shards", 1)  # noqa: B010 - the type checker would refuse the plain assignment
