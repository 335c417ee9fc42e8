import json
from typing import Any

import pytest

from retinue.attest import large
from retinue.attest.errors import Malformed
from retinue.attest.statement import Subject, read_statement, write_statement

V01 = "https://in-toto.io/Statement/v0.1"
V1 = "https://in-toto.io/Statement/v1"
HEXA = "ab" * 32


def raw(**fields: object) -> bytes:
    document = {
        "_type": V1,
        "subject": [{"name": "app", "digest": {"sha256": HEXA}}],
        "predicateType": "https://example.com/p",
        "predicate": {},
    }
    merged = {**document, **fields}
    return json.dumps({key: value for key, value in merged.items() if value != "absent"}).encode()


@pytest.mark.parametrize(("kind", "version"), [(V01, "0.1"), (V1, "1")])
def test_both_versions_are_read(kind: str, version: str) -> None:
    assert version == read_statement(raw(_type=kind)).version


def test_a_subject_may_have_no_name() -> None:
    statement = read_statement(raw(subject=[{"digest": {"sha256": HEXA}}]))
    assert (Subject("", {"sha256": HEXA}, {}),) == statement.subjects


def test_annotations_of_a_subject_are_kept() -> None:
    subject = {"digest": {"sha256": HEXA}, "annotations": {"env": "prod", "n": 1}}
    assert read_statement(raw(subject=[subject])).subjects[0].annotations == {"env": "prod"}


def test_a_missing_predicate_is_empty() -> None:
    assert read_statement(raw(predicate="absent")).predicate == b""


def test_a_predicate_may_be_a_string() -> None:
    text = "SPDXVersion: SPDX-2.3\nPackageName: a\n"
    assert json.dumps(text).encode() == read_statement(raw(predicate=text)).predicate


@pytest.mark.parametrize(
    "predicate",
    [
        b'{ "a" : 1.50 ,\n "b":"\\u00e9" }',
        b'{"same":1,"same":2}',
        b'{"Case":1,"case":2}',
        b"[]",
        b"null",
        b"1E400",
        '"ü€😀"'.encode(),
    ],
)
def test_a_predicate_is_a_slice_of_the_statement(predicate: bytes) -> None:
    before = raw(predicate="absent")[:-1]
    statement = b'%b , "predicate" : %b , "extra":true }\n' % (before, predicate)
    if predicate == b"1E400":
        with pytest.raises(Malformed):
            read_statement(statement)
    else:
        assert predicate == read_statement(statement).predicate


def test_characters_before_the_predicate_do_not_shift_it() -> None:
    statement = raw(subject=[{"name": "ü" * 50, "digest": {}}], predicate={"a": "ö"})
    assert json.dumps({"a": "ö"}).encode() == read_statement(statement).predicate


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"_type": "https://in-toto.io/Statement/v2"}, "_type is"),
        ({"_type": "absent"}, "_type is None"),
        ({"_type": ["x"]}, "_type is"),
        ({"predicateType": "absent"}, "predicateType is None"),
        ({"predicateType": ""}, "predicateType is ''"),
        ({"predicateType": 1}, "predicateType is 1"),
        ({"subject": "absent"}, "subject names nothing"),
        ({"subject": []}, "subject names nothing"),
        ({"subject": {}}, "subject names nothing"),
        ({"subject": ["x"]}, "a subject is 'x'"),
        ({"subject": [{"name": 1}]}, "a subject's name is 1"),
        ({"subject": [{"digest": []}]}, "a subject's digest is"),
        ({"subject": [{}] * 10_001}, "10001 subjects"),
        ({"Subject": []}, "differ only in case"),
        ({"\u017fubject": []}, "differ only in case"),
    ],
)
def test_what_is_no_statement_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read_statement(raw(**fields))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xef\xbb\xbf" + raw(),
        raw() + b"{}",
        raw()[:-1],
        raw().replace(b'"predicateType"', b'"subject"'),
        raw(predicate=json.loads("[" * 200 + "]" * 200)),
        b"\xff" + raw(),
    ],
)
def test_what_is_no_json_is_refused(text: Any) -> None:
    with pytest.raises(Malformed):
        read_statement(text)


def test_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "MAX_BYTES", 100)
    with pytest.raises(Malformed, match="more than the 100 allowed"):
        read_statement(raw())


@pytest.mark.parametrize("version", ["0.1", "1"])
def test_what_is_written_is_read(version: str) -> None:
    subjects = (
        Subject("app", {"sha256": HEXA}, {}),
        Subject("", {"sha512": HEXA * 2}, {"env": "prod"}),
    )
    written = write_statement("https://example.com/p", b' {"a": 1}\n', subjects, version=version)
    statement = read_statement(written)
    assert (version, subjects, b'{"a": 1}') == (
        statement.version,
        statement.subjects,
        statement.predicate,
    )


@pytest.mark.parametrize("predicate", [b"", b"{", b'{}, "subject": []', b'{}, "x": 1', b"{} {}"])
def test_what_would_not_be_one_predicate_is_not_written(predicate: bytes) -> None:
    with pytest.raises(Malformed):
        write_statement("https://example.com/p", predicate, (Subject("", {"sha256": HEXA}, {}),))


def test_an_unknown_version_is_not_written() -> None:
    with pytest.raises(Malformed, match="no version '2'"):
        write_statement("https://example.com/p", b"{}", (Subject("", {}, {}),), version="2")
