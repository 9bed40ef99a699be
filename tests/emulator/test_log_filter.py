"""The Logging query language means on a laptop what Google's documentation says it means in the cloud."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from emulator.log_router.filter import FILTER_MAX_CHARACTERS, FilterError, compile_filter

SINK_FILTER = Path(__file__).parents[2] / "infra" / "journey_sink.filter"
ENTRY: Mapping[str, object] = {
    "logName": "projects/p/logs/run.googleapis.com%2Fstdout",
    "resource": {"type": "cloud_run_revision", "labels": {"service_name": "shop-api"}},
    "timestamp": "2026-03-01T10:00:00.000000500Z",
    "severity": "ERROR",
    "labels": {"compute.googleapis.com/resource_id": "42", "env_name": "prod-server-1"},
    "httpRequest": {"status": 503, "latency": "1.5s", "requestSize": "1200"},
    "jsonPayload": {
        "message": "The Cat in the HAT, Straße",
        "cat": "LongHair",
        "shoeSize": [8.5, 9, 6],
        "items": [{"sku": "a1"}, {"sku": "b2"}],
        "paid": True,
        "paid_text": "true",
        "nothing": None,
        "empty": [],
        "quote": 'field1="bar"',
        "tab": "a\tb",
        'odd "key".x': "apple",
        "metadata": {"support_journey": True, "attempt": 7, "long": "9223372036854775807"},
    },
}

MATCHES = [
    "",
    "-- a comment alone",
    'resource.type = "cloud_run_revision" AND severity = "ERROR"',
    'resource.type = "gae_app" OR resource.type = "cloud_run_revision"',
    'resource.type = ("gae_app" OR "cloud_run_revision")',
    'resource.type = "cloud_run_revision" AND (severity = "DEBUG" OR "error")',
    "resource.type=Cloud_Run_Revision\nseverity>=warning",
    "severity >= ERROR AND NOT textPayload:robot",
    "severity=500 severity>400 severity<CRITICAL severity!=INFO",
    'jsonPayload.cat = ("longhair" OR "shorthair")',
    'jsonPayload.message : ("cat" AND "hat")',
    "jsonPayload.message:(cat hat)",
    "jsonPayload.message:(cat -dog)",
    "jsonPayload.cat=(short OR (longhair AND NOT short))",
    'jsonPayload.message:"strasse"',
    "jsonPayload.shoeSize < 7",
    "jsonPayload.shoeSize != 9",
    "NOT jsonPayload.shoeSize = 7.25",
    "jsonPayload.items.sku = b2",
    "jsonPayload.paid=true jsonPayload.paid=TRUE jsonPayload.paid>false",
    'jsonPayload.paid="true"',
    "jsonPayload.paid_text=true",
    "jsonPayload.metadata.attempt=7.0 jsonPayload.metadata.attempt>-1e3",
    'jsonPayload.metadata.attempt="7"',
    'jsonPayload.metadata.long="9223372036854775807"',
    "jsonPayload.metadata.support_journey:*",
    "jsonPayload.nothing : *",
    "jsonPayload.nothing = NULL_VALUE",
    "jsonPayload.cat != NULL_VALUE",
    "NOT jsonPayload.absent=foo",
    "NOT operation.id:*",
    'trace="" operation.first=false',
    'labels."compute.googleapis.com/resource_id"=42',
    'jsonPayload."odd \\"key\\".x":apple',
    'labels.env_name =~ ("^dev.*server" OR "^prod.*server")',
    'jsonPayload.message =~ "(?i)the cat"',
    'jsonPayload.message !~ "the Cat"',
    'jsonPayload.quote =~ "field1=\\"bar.*\\""',
    'labels.env_name =~ "server-\\\\d$" labels.env_name =~ "-\\d$"',
    'jsonPayload.tab = "a\\tb" jsonPayload.tab = "\\x61\\u0009\\142"',
    'logName =~ "%2Fstdout$"',
    'log_id("run.googleapis.com/stdout")',
    'httpRequest.latency>1200ms httpRequest.latency="1.5s" httpRequest.requestSize>999',
    'timestamp >= "2026-03-01T11:00:00+01:00" timestamp < "2026-03-01T10:00:00.000000501Z"',
    'timestamp > "2026-03-01"',
    "cat hat",
    '("cat" AND ("bat" OR "hat"))',
    "longhair -unicorn",
    'jsonPayload:"longhair"',
    "503",
    'jsonPayload.cat="longhair"-- to the end of the line\n-- jsonPayload.cat="x"',
    "jsonPayload.cat=longhair--here too",
]
MISSES = [
    "jsonPayload.absent=foo",
    "jsonPayload.absent!=foo",
    'jsonPayload.absent!~"foo"',
    "jsonPayload.empty=foo",
    "jsonPayload.absent=NULL_VALUE",
    "NOT jsonPayload.nothing=NULL_VALUE",
    "operation.id:*",
    "jsonPayload.Cat=longhair",
    "jsonPayload.cat=long",
    "jsonPayload.paid=yes",
    "jsonPayload.paid!=yes",
    "jsonPayload.metadata.attempt!=seven",
    "jsonPayload.metadata=attempt",
    'jsonPayload.metadata.attempt=~"7"',
    'jsonPayload.message =~ "the cat"',
    'jsonPayload.message !~ "The Cat"',
    "severity>ERROR",
    "unicorn",
    "longhair and shorthair",
    "timestamp<2026-03-01",
    'log_id("stdout")',
    "trace:*",
]


@pytest.mark.parametrize("text", MATCHES)
def test_filter_matches(text: str) -> None:
    assert compile_filter(text).matches(ENTRY)


@pytest.mark.parametrize("text", MISSES)
def test_filter_does_not_match(text: str) -> None:
    assert not compile_filter(text).matches(ENTRY)


@pytest.mark.parametrize("bits", range(16))
def test_or_binds_tighter_than_and_as_in_the_example_of_the_documentation(bits: int) -> None:
    a, b, c, d = (bool(bits >> place & 1) for place in range(4))
    entry = {"jsonPayload": {"a": a, "b": b, "c": c, "d": d}}
    text = "jsonPayload.a=true OR NOT jsonPayload.b=true AND NOT jsonPayload.c=true OR jsonPayload.d=true"
    assert compile_filter(text).matches(entry) == ((a or not b) and (not c or d))


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("severity>=", 1, 11, "expected '(' or a number or a quoted string or a word"),
        ("severity=ERROR OR\n", 2, 1, "ends early"),
        ("severity=ERROR\n  AND OR a", 2, 7, "unexpected 'OR'"),
        ("(severity=ERROR", 1, 16, "expected ')'"),
        ("severity=ERROR)", 1, 15, "unexpected ')', expected the end"),
        ("insertId = abc:def", 1, 15, "unexpected ':'"),
        ("logName=a.b", 1, 10, "unexpected '.'"),
        ('logName="a', 1, 9, "closing quote"),
        ("logName='a'", 1, 9, "has to be quoted"),
        ("logName=-abc", 1, 9, "unexpected '-'"),
        ("thud=1", 1, 1, "no field thud"),
        ("a\noperation.thud=1", 2, 1, "no field operation.thud"),
        ("textPayload.thud:*", 1, 1, "no field textPayload.thud"),
        ("severity>=EROR", 1, 11, "no severity 'EROR'"),
        ("severity=450", 1, 10, "no severity '450'"),
        ("traceSampled=yes", 1, 14, "neither true nor false"),
        ("httpRequest.status>many", 1, 20, "many does not fit"),
        ("httpRequest.latency>3", 1, 21, "not a number with a unit"),
        ('timestamp>"yesterday"', 1, 11, "not an RFC 3339 timestamp"),
        ('trace=~"("', 1, 8, "not a regular expression"),
        ('trace=~"a(?!b)"', 1, 8, "(?! does not mean the same"),
        ('trace=~"(a)\\\\1"', 1, 8, "\\1 does not mean the same"),
        ('severity=~"E"', 1, 11, "severity cannot match"),
        ("severity=ERROR\n sample(insertId, 0.25)", 2, 2, "the function sample() is unsupported"),
        ("cast(timestamp, STRING)=~a", 1, 1, "the function cast() is unsupported"),
        ("a" * (FILTER_MAX_CHARACTERS + 1), 1, 1, "longer than 20000"),
    ],
)
def test_a_faulty_filter_is_refused_with_its_position(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "passes"),
    [
        ({"jsonPayload": {"metadata": {"support_journey": True}}}, True),
        ({"jsonPayload": {"metadata": {"support_journey": "true"}}}, True),
        ({"jsonPayload": {"metadata": {"support_journey": False}}}, False),
        ({"jsonPayload": {"message": "hello"}}, False),
        ({"textPayload": "jsonPayload.metadata.support_journey=true"}, False),
        ({"jsonPayload": {"metadata": {"support_journey": True}}, "labels": {"sojourn.engine": "true"}}, False),
        ({"jsonPayload": {"metadata": {"support_journey": True}}, "labels": {"sojourn.engine": "false"}}, True),
    ],
)
def test_the_sink_passes_journey_events_and_never_the_engines_own_lines(entry: dict[str, object], passes: bool) -> None:
    assert compile_filter(SINK_FILTER.read_text()).matches(entry) is passes


def test_a_filter_that_nests_without_end_is_refused() -> None:
    with pytest.raises(FilterError, match="nested too deeply"):
        compile_filter("NOT (" * 3_000 + "a=1" + ")" * 3_000)
