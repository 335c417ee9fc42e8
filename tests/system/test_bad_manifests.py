"""Manifests that are none: refused in the specification's words, and nothing of them is kept."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import CONFIG, LAYER, blobs_of, describe, dump, image, index, pointer
from kinds import KINDS
from protocol import Client, assert_no_fault, refused, told, unchanged
from retinue.oci import digest as digests
from retinue.oci import names
from serving import Serving

NAME = "bad/manifests"
DIGEST = digests.of(b"never pushed")
BLOB = digests.of(LAYER)
SEARCH = settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def client(registry: Serving) -> Iterator[Client]:
    client = Client(registry)
    client.push_all(NAME, blobs_of().values(), image())
    yield client
    client.close()
    assert_no_fault(registry)


@pytest.fixture
def nothing_kept(client: Client, registry: Serving) -> Iterator[None]:
    with unchanged(registry):
        yield


IMAGE = json.loads(image().raw)
LIST = json.loads(index(image()).raw)
CONFIGURED = describe(CONFIG, names.OCI_CONFIG)
LAYERED = describe(LAYER, names.OCI_LAYER)


def duplicate(field: str) -> bytes:
    """The same key twice, at the root."""
    raw = image().raw
    return raw[:-1] + b"," + dump({field: IMAGE.get(field, "x")})[1:]


INVALID: Mapping[str, bytes] = {
    "nothing": b"",
    "no JSON": b"FROM scratch",
    "no object": b"[]",
    "null": b"null",
    "a string": b'"manifest"',
    "half": image().raw[:-20],
    "more than one": image().raw * 2,
    "a byte order mark": b"\xef\xbb\xbf" + image().raw,
    "UTF-16": image().raw.decode().encode("utf-16"),
    "no UTF-8": image().raw.replace(b"amd64", b"\xff").replace(b"schema", b"\xc0schema"),
    "half a surrogate": dump(IMAGE | {"artifactType": "@"}).replace(b"@", b"\\ud800"),
    "a zero byte in a type": dump(IMAGE | {"artifactType": "@"}).replace(b"@", b"\\u0000"),
    "deep": b"[" * 2_000_000,
    "deep and closed": b'{"a":' * 400_000 + b"1" + b"}" * 400_000,
    "many digits": dump(IMAGE).replace(b'"schemaVersion":2', b'"schemaVersion":' + b"2" * 10_000),
    "beyond a double": dump(IMAGE | {"a": "@"}).replace(b'"@"', b"1e999"),
    "NaN": dump(IMAGE | {"a": "@"}).replace(b'"@"', b"NaN"),
    "twice the config": duplicate("config"),
    "twice the media type": duplicate("mediaType"),
    "twice the schema version": duplicate("schemaVersion"),
    "twice, in other case": dump(IMAGE | {"Layers": []}),
    "an image and an index": dump(IMAGE | {"manifests": [pointer(image())]}),
    "another media type": dump(IMAGE | {"mediaType": names.OCI_INDEX}),
    "schema version 1": dump(IMAGE | {"schemaVersion": 1}),
    "schema version as text": dump(IMAGE | {"schemaVersion": "2"}),
    "schema version as list": dump(IMAGE | {"schemaVersion": [2]}),
    "no config": dump({k: v for k, v in IMAGE.items() if k != "config"}),
    "config as list": dump(IMAGE | {"config": [CONFIGURED]}),
    "layers as object": dump(IMAGE | {"layers": LAYERED}),
    "a layer that is none": dump(IMAGE | {"layers": [None]}),
    "no size": dump(IMAGE | {"config": CONFIGURED | {"size": None}}),
    "a size below zero": dump(IMAGE | {"config": CONFIGURED | {"size": -1}}),
    "a size as text": dump(IMAGE | {"config": CONFIGURED | {"size": "78"}}),
    "a size as fraction": dump(IMAGE | {"config": CONFIGURED | {"size": 78.0}}),
    "a size beyond 64 bits": dump(IMAGE | {"config": CONFIGURED | {"size": 2**63}}),
    "a size as boolean": dump(IMAGE | {"config": CONFIGURED | {"size": True}}),
    "another size": dump(IMAGE | {"config": CONFIGURED | {"size": 79}}),
    "no digest": dump(IMAGE | {"config": CONFIGURED | {"digest": "latest"}}),
    "an upper-case digest": dump(IMAGE | {"config": CONFIGURED | {"digest": BLOB.upper()}}),
    "a digest that leads out": dump(IMAGE | {"layers": [LAYERED | {"digest": "sha256:../x"}]}),
    "blake3": dump(IMAGE | {"layers": [LAYERED | {"digest": "blake3:" + "a" * 64}]}),
    "annotations as list": dump(IMAGE | {"annotations": ["a"]}),
    "an annotation as number": dump(IMAGE | {"annotations": {"a": 1}}),
    "embedded data of something else": dump(IMAGE | {"layers": [LAYERED | {"data": "AAAA"}]}),
    "embedded data in no base64": dump(IMAGE | {"layers": [LAYERED | {"data": "?"}]}),
    "a subject as text": dump(IMAGE | {"subject": DIGEST}),
    "a subject without size": dump(IMAGE | {"subject": {"mediaType": "a/b", "digest": DIGEST}}),
    "too many layers": dump(IMAGE | {"layers": [LAYERED] * 20_001}),
    "a blob as child": dump(LIST | {"manifests": [pointer(image()) | {"digest": BLOB}]}),
}


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("body", INVALID.values(), ids=INVALID)
def test_a_manifest_that_is_none(client: Client, body: bytes) -> None:
    kind = names.OCI_INDEX if b'"manifests":' in body[:200] else names.OCI_MANIFEST
    for reference in ("v2", digests.of(body), digests.of(body, "sha512")):
        answer = client.put(f"/v2/{NAME}/manifests/{reference}", body, content_type=kind)
        refused(answer, answer.status, "MANIFEST_INVALID", "SIZE_INVALID")
        assert answer.status in {400, 413}
    answer = client.put("/v2/bad/unheard/of/manifests/v2", body, content_type=kind)
    told(answer)


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize(
    "kind",
    [
        *(names.DOCKER_SCHEMA1, names.DOCKER_SCHEMA1_SIGNED, names.OCI_CONFIG, names.OCI_INDEX),
        *("application/json", "text/html", "x", "/", "é/é", "a" * 30_000, "*/*", "a/b;" * 99),
    ],
)
def test_a_manifest_of_a_type_that_is_not_known(client: Client, kind: str) -> None:
    answer = client.put(f"/v2/{NAME}/manifests/v2", image().raw, content_type=kind)
    refused(answer, 400, "MANIFEST_INVALID")


SAMPLES = [
    (each.raw, each.media_type)
    for name, make in KINDS.items()
    if name != "large_manifest"
    for each in make("sha256").manifests
]
BYTES = st.binary(max_size=4) | st.sampled_from(
    [b'"', b"{", b"}", b"[", b",", b"\\", b"null", b"-1"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from([DIGEST, BLOB, names.OCI_MANIFEST, 2**63, -1, "\0", "blob", "reference"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@st.composite
def mutations(draw: st.DrawFn) -> tuple[bytes, str]:
    """A valid manifest with something else in a place of it, as bytes or as JSON."""
    raw, kind = draw(st.sampled_from(SAMPLES))
    start = draw(st.integers(0, len(raw)))
    if draw(st.booleans()) or not raw.lstrip().startswith(b"{"):
        end = min(len(raw), start + draw(st.integers(0, 12)))
        return raw[:start] + draw(BYTES) + raw[end:], kind
    document = json.loads(raw)
    place: Any = document
    key: Any = draw(st.sampled_from(sorted(document)))
    while isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
        place = place[key]
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = draw(JSON)
    return json.dumps(document).encode("utf-8", "surrogatepass"), kind


@SEARCH
@given(mutations())
def test_a_manifest_with_a_fault_somewhere(client: Client, mutated: tuple[bytes, str]) -> None:
    """It is stored as it is, or refused; and what was stored can be deleted."""
    body, kind = mutated
    path = f"/v2/{NAME}/manifests/{digests.of(body)}"
    answer = client.put(path, body, content_type=kind)
    if answer.status == 201:
        assert client.get(path).body == body
        assert client.delete(path).status in {202, 404, 405}
    else:
        refused(answer, answer.status, "MANIFEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "SIZE_INVALID")
        assert answer.status in {400, 404}
        assert client.head(path).status == 404
