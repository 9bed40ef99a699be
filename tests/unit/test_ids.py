"""Ids: the same parts give the same id, other parts another, and nothing in a part can break one."""

from __future__ import annotations

import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sojourn.domain.ids import ID_LENGTH, derived_id, effect_id, fraction, member_key, progress_id, shard_of

parts = st.lists(st.text(st.characters(exclude_categories=[])) | st.integers(), max_size=4)


@given(parts)
def test_an_id_is_short_text_that_firestore_takes_whatever_its_parts(values: list[str | int]) -> None:
    identifier = derived_id(*values)
    assert identifier == derived_id(*values)
    assert re.fullmatch(rf"[a-z2-7]{{{ID_LENGTH}}}", identifier)


@given(parts, parts)
def test_other_parts_give_another_id(one: list[str | int], other: list[str | int]) -> None:
    same = [str(part) for part in one] == [str(part) for part in other]
    assert (derived_id(*one) == derived_id(*other)) is same


def test_an_id_never_changes_for_it_is_stored() -> None:
    assert derived_id("event", "a", 1) == "vggbb4ym5rhphyh53327mnwab2"


def test_a_member_is_another_in_another_bot_and_a_boundary_is_no_part_of_a_name() -> None:
    keys = {member_key("bot", "ann"), member_key("bota", "nn"), member_key("bot", "bob"), derived_id("bot", "ann")}
    assert len(keys) == 4


def test_every_visit_and_every_slot_is_an_effect_of_its_own() -> None:
    passage = progress_id("bot", "journey", "ann", "1")
    effects = {effect_id(passage, node, visit, slot) for node in ("a", "b") for visit in (1, 11) for slot in (0, 1)}
    assert len(effects) == 8


@given(parts)
def test_a_fraction_is_in_the_unit_interval_and_the_same_on_every_retry(values: list[str | int]) -> None:
    assert 0 <= fraction(*values) < 1
    assert fraction(*values) == fraction(*values)


def test_fractions_and_shards_spread_evenly() -> None:
    tenths = Counter(int(fraction("split", number) * 10) for number in range(10_000))
    shards = Counter(shard_of(derived_id(number), 8) for number in range(8_000))
    assert set(tenths) == set(range(10))
    assert set(shards) == set(range(8))
    assert all(900 < count < 1_100 for count in (*tenths.values(), *shards.values()))
