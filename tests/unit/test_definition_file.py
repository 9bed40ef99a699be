"""Definition files: every fault with its message, its node and its line in the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sojourn.domain.errors import DefinitionInvalid, Fault
from sojourn.runtime.definition_file import MAX_FILE_BYTES, definition_from_text, load_definition

GOOD = """\
id: welcome
bot_id: shop
name: Welcome
settings:
  timezone: Asia/Taipei
nodes:
  - {id: start, key: event, settings: {name: user.signed_up}, next: rest}
  - id: rest
    key: wait
    settings:
      duration: 1d
    next: ask
  - id: ask
    key: branch
    branches:
      - {name: bought, condition: "event.data.total > 5", next: thank}
      - {name: looked, condition: "event.data.views > 5", next: remind}
    else: end
  - {id: thank, key: send_message, settings: {message: Thank you}, next: end}
  - {id: remind, key: webhook, settings: {url: "https://shop.example/remind"}, next: end}
  - {id: end, key: exit}
"""


def faults_of(text: str, *, name: str = "journey.yaml") -> tuple[Fault, ...]:
    with pytest.raises(DefinitionInvalid) as caught:
        definition_from_text(text, name=name)
    return caught.value.faults


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_good_file_loads(tmp_path: Path) -> None:
    path = tmp_path / "welcome.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert load_definition(path).targets["ask"] == ("thank", "remind", "end")


YAML_BOOLEAN = "must be text, not true; unquoted, YAML reads yes, no, on and off as true and false: put the word in quotes"
FAULTY = [
    ("bot_id: shop\n", "", "bot_id is missing", None, 1),
    ("name: Welcome", "name: 5", "must be text, not 5", None, 3),
    ("settings:\n  timezone", "setings:\n  timezone", "there is no field 'setings'; did you mean 'settings'?", None, 4),
    ("Asia/Taipei", "Mars/Base", "'Mars/Base' is no IANA time zone, such as Asia/Taipei", None, 5),
    ("timezone: Asia/Taipei", "schedule_start_at: 2026-03-01", "must be a moment with its time zone", None, 5),
    ("timezone: Asia/Taipei", "schedule_start_at: 2026-03-01 09:00:00", "must be a moment with its time zone", None, 5),
    ("timezone: Asia/Taipei", "sleep_start_time: '25:00'", "must be a time of day, such as 22:00, not '25:00'", None, 5),
    ("timezone: Asia/Taipei", "repeat_journey_times: 0", "must be at least 1, not 0", None, 5),
    ("timezone: Asia/Taipei", "while_active: wait", "must be 'skip' or 'allow', not 'wait'", None, 5),
    ("key: event", "key: evnt", "there is no kind of node 'evnt'; did you mean 'event'?", "start", 7),
    ("key: event, ", "", "key is missing; it is one of event, schedule, api, wait", "start", 7),
    ("name: user.signed_up", "name: user signed up", "must be letters, digits, _ . : or -", "start", 7),
    ("id: rest", "id: 'rest!'", "must be 1 to 64 letters, digits, - or _, not 'rest!'", "rest!", 8),
    ("next: rest", "next: rset", "there is no node 'rset'; did you mean 'rest'?", "start", 7),
    ("next: rest", "next: yes", YAML_BOOLEAN, "start", 7),
    ("    key: wait\n", "    key: wait\n    nxt: 1\n", "there is no field 'nxt'; did you mean 'next'?", "rest", 10),
    ("duration: 1d", "duration: soon", "'soon' is no duration; write it with units", "rest", 11),
    ("duration: 1d", "duraton: 1d", "there is no field 'duraton'; did you mean 'duration'? There are duration,", "rest", 11),
    ("duration: 1d", "{}", "give exactly one of duration, until_time, until_date", "rest", 10),
    ("settings:\n      duration: 1d", "settings: 1d", "must be a mapping, not '1d'", "rest", 10),
    ("    next: ask\n", "", "the node leads nowhere; give it next", "rest", 8),
    ("next: ask", "next: start", "'start' is a trigger, and a member cannot walk into one", "rest", 12),
    ("name: bought", "name: yes", YAML_BOOLEAN, "ask", 16),
    ("name: looked", "name: bought", "two paths of this node are named 'bought'", "ask", 17),
    ("name: looked", "name: else", "two paths of this node are named 'else'", "ask", 17),
    ("event.data.views > 5", "event.data.views >", "the expression does not compile", "ask", 17),
    ("event.data.views > 5", "evnt.data.views > 5", "the expression knows no variable 'evnt'", "ask", 17),
    (", next: remind}", "}", "the branch 'looked' leads nowhere", "ask", 17),
    (
        "next: remind}",
        "nxt: remind}",
        "there is no field 'nxt'; did you mean 'next'? There are name, condition, next",
        "ask",
        17,
    ),
    ("    else: end\n", "", "the path 'else' is missing; give it else", "ask", 13),
    ("else: end", "else: ende", "there is no node 'ende'; did you mean 'end'?", "ask", 18),
    ("else: end", "else: ask", "members would go round without a wait: ask → ask", "ask", 13),
    ("message: Thank you", "message: 5", "must be text or a mapping, not 5", "thank", 19),
    ("message: Thank you", "message: {day: 2026-03-01}", "not 2026-03-01; unquoted, YAML reads it as a date", "thank", 19),
    ("message: Thank you", "message: '{{ nobody }}'", "the expression knows no variable 'nobody'", "thank", 19),
    ("https://shop.example/remind", "ftp://shop.example", "must be a URL that begins with http:// or https://", "remind", 20),
    ("id: remind", "id: thank", "the id 'thank' is taken by an earlier node", "thank", 20),
    ("key: exit", "key: exit, next: thank", "there is no field 'next'", "end", 21),
    ("id: end, key: exit", "id: end, key: exit, yes: 1", "a field's name must be text, not true", "end", 21),
    ("key: wait\n", "key: wait\n    key: wait\n", "'key' is here twice; it was first on line 9", "rest", 10),
    ("key: exit}\n", "key: exit}\n  - {id: far, key: exit}\n", "no member can get here", "far", 22),
    ("else: end", "else: end\n    branch: 1", "there is no field 'branch'; did you mean 'branches'?", "ask", 19),
    ("key: exit}", "key: exit}\nnode_paths: [{source: ask, target: end}]", "keep node_paths or next, not both", "ask", 22),
    ("key: exit}", "key: exit}\nnode_paths: [{source: end, target: ask}]", "an exit has no path out", "end", 22),
    ("key: exit}", "key: exit}\nnode_paths:\n- {source: nix, target: ask}", "there is no node 'nix'", "nix", 23),
    ("key: exit}", "key: exit}\nnode_paths:\n- {source: ask}", "target is missing", "ask", 23),
    (
        "timezone: Asia/Taipei",
        "{schedule_start_at: 2026-03-01T00:00:00Z, schedule_end_at: 2026-03-01T12:00:00Z}",
        "a wait of 1d is longer than the journey: 12h",
        "rest",
        11,
    ),
]


@pytest.mark.parametrize(("old", "new", "message", "node_id", "line"), FAULTY)
def test_a_fault_is_named_with_its_node_and_line(old: str, new: str, message: str, node_id: str | None, line: int) -> None:
    found = [fault for fault in faults_of(changed(old, new)) if message in fault.message]
    assert [(fault.node_id, fault.line) for fault in found] == [(node_id, line)]


def test_every_fault_is_named_at_once_in_the_order_of_the_file() -> None:
    text = GOOD.replace("Asia/Taipei", "Mars").replace("views > 5", "views >").replace("else: end", "else: ende")
    assert [fault.line for fault in faults_of(text)] == [5, 17, 18]


def test_the_text_of_a_fault_has_line_node_and_place() -> None:
    (fault,) = faults_of(changed("else: end", "else: ende"))
    assert str(fault) == "line 18: node 'ask': nodes.2.else: there is no node 'ende'; did you mean 'end'?"


def test_a_key_that_is_twice_there_does_not_hide_other_faults() -> None:
    text = changed("name: Welcome", "name: Welcome\nname: Hello").replace("duration: 1d", "duration: soon")
    assert [fault.line for fault in faults_of(text)] == [4, 12]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "a definition is a mapping with id, bot_id, name and nodes, not null", None),
        ("- a\n- b\n", "a definition is a mapping with id, bot_id, name and nodes, not a list", 1),
        ("a: 1\nb: [1, 2\nc: 3\n", "not YAML: while parsing a flow sequence", 3),
        ("a: 1\n\tb: 2\n", "found character '\\t' that cannot start any token", 2),
        ("a: 1\nb: \x01\n", "not YAML: a control character", 2),
        ("a: &a [1]\nb: *a\n", "aliases (*) are not supported", 2),
        ("a: 1\nb: !!python/object:os.system x\n", "tags (tag:yaml.org,2002:python/object:os.system) are not supported", 2),
        ("a: 1\nb: 2026-13-45\n", "no value: month must be in 1..12", 2),
        ("a: 1\nb: " + "9" * 5_000, "no value: a number of 5,000 characters; at most 100", 2),
        ("a: 1\nb: 190" + ":20" * 500 + ".15", "no value: a number of 1,506 characters; at most 100", 2),
        ("a: 1\nb: " + "[" * 100_000, "nested deeper than 32 levels", 2),
        ("- " * 100_000, "nested deeper than 32 levels", 1),
        ("a: 1\n--- \nb: 2\n", "found another document", 2),
    ],
)
def test_what_is_no_yaml_for_a_definition_has_a_line(text: str, message: str, line: int | None) -> None:
    (fault,) = faults_of(text)
    assert message in fault.message
    assert fault.line == line


SOME_JSON = """\
{
\t"id": "welcome", "bot_id": "shop", "name": "\\ud83d\\ude00 \\/",
\t"nodes": [
\t\t{"id": "go", "key": "api", "next": "end"},
\t\t{"id": "end", "key": "exit"}
\t]
}
"""


def test_json_loads_with_tabs_and_escapes() -> None:
    assert definition_from_text(SOME_JSON, name="journey.JSON").name == "\N{GRINNING FACE} /"


def test_json_and_yaml_give_the_same_definition() -> None:
    yaml_definition = definition_from_text(GOOD, name="a.yaml")
    assert definition_from_text(json.dumps(yaml_definition.model_dump(mode="json")), name="a.json") == yaml_definition


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        ('"next": "end"', '"next": "ende"', "there is no node 'ende'", 4),
        ('"key": "exit"', '"key": "exit", "key": "exit"', "'key' is here twice; it was first on line 5", 5),
        ('"key": "api",', '"key": "api"', "not JSON: Expecting ',' delimiter", 4),
    ],
)
def test_a_fault_in_json_has_its_line(old: str, new: str, message: str, line: int) -> None:
    (fault,) = faults_of(SOME_JSON.replace(old, new), name="journey.json")
    assert message in fault.message
    assert fault.line == line


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5_000, "", "{'a': 1}"])
def test_hostile_json_is_a_fault(text: str) -> None:
    (fault,) = faults_of(text, name="journey.json")
    assert fault.message.startswith("not JSON: ")


def faults_of_file(path: Path) -> tuple[Fault, ...]:
    with pytest.raises(DefinitionInvalid) as caught:
        load_definition(path)
    return caught.value.faults


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults_of_file(tmp_path / "none.yaml")
    assert fault.message.endswith("none.yaml: cannot be read: No such file or directory")


def test_a_file_that_is_too_big_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"[" * (MAX_FILE_BYTES + 1))
    (fault,) = faults_of_file(path)
    assert fault.message.endswith("big.yaml: larger than 1,048,576 bytes")


def test_bytes_that_are_no_text_have_a_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"id: a\nname: caf\xe9\n")
    (fault,) = faults_of_file(path)
    assert (fault.line, "not UTF-8" in fault.message) == (2, True)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert load_definition(path).id == "welcome"
