import json
from typing import Any

import pytest

from retinue.attest.errors import Malformed
from retinue.attest.formats import simplesigning
from retinue.attest.formats.simplesigning import Payload, payload, read_payload
from retinue.oci import names

DIGEST = "sha256:" + "ab" * 32


def raw(kind: object = simplesigning.TYPE, optional: object = None, **critical: object) -> bytes:
    document = {
        "critical": {
            "identity": {"docker-reference": "r/a"},
            "image": {"docker-manifest-digest": DIGEST},
            "type": kind,
            **critical,
        },
        "optional": optional,
    }
    return json.dumps(document).encode()


def test_a_payload_is_written_as_cosign_writes_it() -> None:
    expected = (
        b'{"critical":{"identity":{"docker-reference":"r/a"},"image":{"docker-manifest-digest":"'
        + DIGEST.encode()
        + b'"},"type":"cosign container image signature"},"optional":{"a":"1","env":"\\u003cx\\u0026"}}'
    )
    assert expected == payload(DIGEST, "r/a", {"env": "<x&", "a": "1"})


def test_without_annotations_optional_is_null() -> None:
    assert payload(DIGEST, "r/a", {}).endswith(b'"optional":null}')


def test_what_is_written_is_read() -> None:
    said = {"env": "<prod> & ü"}
    assert Payload(DIGEST, "r/a", said) == read_payload(payload(DIGEST, "r/a", said))


@pytest.mark.parametrize("kind", ["cosign container image signature", "atomic container signature"])
def test_both_known_types_are_read(kind: str) -> None:
    assert Payload(DIGEST, "r/a", {}) == read_payload(raw(kind))


def test_values_that_are_no_strings_are_no_annotations() -> None:
    optional = {"creator": "podman", "timestamp": 1700000000, "x": None}
    assert read_payload(raw(optional=optional)).annotations == {"creator": "podman"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "invalid JSON"),
        (b"[]", "critical is not an object"),
        (raw("anything"), "critical.type is 'anything'"),
        (raw(optional=[]), "optional is not an object"),
        (raw(image=None), "image is not an object"),
        (raw(image={"docker-manifest-digest": 1}), "docker-manifest-digest is not a string"),
        (raw(identity={}), "docker-reference is not a string"),
        (raw(Image={}), "differ only in case"),
    ],
)
def test_what_is_no_payload_is_refused(text: Any, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read_payload(text)


@pytest.mark.parametrize("text", [None, "", "?", "a"])
def test_a_layer_without_a_signature_is_refused(text: Any) -> None:
    annotations = {} if text is None else {names.ANNOTATION_SIGNATURE: text}
    with pytest.raises(Malformed, match="signature"):
        simplesigning.signature(annotations)


def test_a_timestamp_is_read() -> None:
    annotations = {names.ANNOTATION_TIMESTAMP: '{"SignedRFC3161Timestamp":"MTIz"}'}
    assert simplesigning.timestamp(annotations) == b"123"


@pytest.mark.parametrize("text", ["{}", "[]", "x", '{"SignedRFC3161Timestamp":1}', "\udc00"])
def test_a_damaged_timestamp_is_refused(text: Any) -> None:
    with pytest.raises(Malformed, match="timestamp"):
        simplesigning.timestamp({names.ANNOTATION_TIMESTAMP: text})


def test_no_timestamp_is_none() -> None:
    assert simplesigning.timestamp({}) is None
