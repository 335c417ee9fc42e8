"""Generic objects as a compact JWS (settlement 19)."""

import base64
import json
from typing import Any

import pytest

from builders import dump, image, pointer
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.links import Rel
from retinue.oci.manifest import Unreadable
from retinue.oci.readers.jws import ALGORITHMS
from retinue.oci.readers.table import Limits, read, read_generic

IMAGE = image()
HEADER = {"alg": "ES256", "typ": "vnd.oci.object.manifest.v1+jwt", "kid": "k"}
BODY = {
    "schemaVersion": 1,
    "mediaType": names.OCI_OBJECT_JWT,
    "objects": [
        {
            "type": names.OBJECT_POINTER,
            "version": "1",
            "components": [{"rtype": "reference", "descriptor": pointer(IMAGE)}],
        }
    ],
}


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(header: Any = HEADER, body: Any = BODY, signature: bytes = b"signature") -> bytes:
    return b".".join((b64(json.dumps(header).encode()), b64(dump(body)), b64(signature)))


def refused(raw: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read(raw, names.OCI_OBJECT_JWT)
    return caught.value.field_name


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_settlement_19_links_come_from_the_payload_and_the_digest_from_the_token(
    algorithm: str,
) -> None:
    raw = token(HEADER | {"alg": algorithm})
    found = read(raw, names.OCI_OBJECT_JWT)
    assert (found.raw, found.digest) == (raw, digests.of(raw))
    assert [link.rel for link in found.links] == [Rel.REFERENCE, Rel.SUBJECT]
    assert [item.type for item in read_generic(found)] == [names.OBJECT_POINTER]
    assert found.artifact_type == names.OCI_OBJECT


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ([], "header"),
        (HEADER | {"alg": "none"}, "header.alg"),
        (HEADER | {"alg": "HS256"}, "header.alg"),
        (HEADER | {"alg": None}, "header.alg"),
        (HEADER | {"alg": ["ES256"]}, "header.alg"),
        ({"typ": HEADER["typ"]}, "header.alg"),
        ({"alg": "ES256"}, "header.typ"),
        (HEADER | {"typ": "JWT"}, "header.typ"),
        (HEADER | {"crit": ["exp"], "exp": 1}, "header.crit"),
        (HEADER | {"crit": []}, "header.crit"),
        (HEADER | {"Alg": "none"}, "Alg"),
    ],
)
def test_settlement_19_refuses_headers(header: Any, field: str) -> None:
    assert refused(token(header)) == field


def test_settlement_19_the_payload_names_the_signed_type() -> None:
    assert refused(token(body=BODY | {"mediaType": names.OCI_OBJECT})) == "mediaType"


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", "body"),
        (b"a.b", "body"),
        (token() + b".x", "body"),
        (token(signature=b""), "signature"),
        (token() + b"=", "signature"),
        (token() + b"\n", "signature"),
        (token().replace(b".", b"..", 1), "body"),
        (b"+" + token(), "header"),
        (b"QQQQQ" + token()[token().index(b".") :], "header"),
        (b"QR" + token()[token().index(b".") :], "header"),
        (dump(BODY), "body"),
    ],
)
def test_settlement_19_refuses_what_is_no_compact_jws(raw: bytes, field: str) -> None:
    assert refused(raw) == field


def test_settlement_19_has_the_bound_of_every_manifest() -> None:
    with pytest.raises(Unreadable, match="more than the 100 allowed"):
        read(token(), names.OCI_OBJECT_JWT, limits=Limits(max_bytes=100))


def test_the_signed_form_is_not_the_plain_one() -> None:
    with pytest.raises(Unreadable):
        read(dump(BODY), names.OCI_OBJECT)
