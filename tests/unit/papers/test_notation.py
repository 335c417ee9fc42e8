"""Notary Project signatures as papers, with the chains that the vectors have."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from paperkit import CREATED, IMAGE, OTHER, stored
from retinue.attest.anchors import Trust, X509Anchor
from retinue.attest.errors import EvidenceError
from retinue.attest.keys.pem import load_private
from retinue.attest.notation import sign_notation
from retinue.attest.proof import Format
from retinue.attest.target import Target
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.papers.attach import attach_notation
from retinue.papers.collect import collect
from retinue.papers.facts import Verdict, Wanted
from retinue.papers.judge import derive
from retinue.papers.kinds import Kind

VECTORS = Path(__file__).parents[2] / "vectors/trust/notation"
ROOT = x509.load_pem_x509_certificate((VECTORS / "root.pem").read_bytes())
TRUST = Trust((X509Anchor("notary", (ROOT,), {"C": "DE", "ST": "Berlin", "O": "Example"}),))


def envelope(
    subject: Manifest = IMAGE, at: datetime = CREATED, expires: datetime | None = None, **said: str
) -> bytes:
    key = load_private((VECTORS / "P-256.key").read_bytes(), None, "P-256")
    chain = (VECTORS / "P-256.chain.pem").read_bytes()
    target = Target(subject.digest, subject.media_type, subject.raw)
    return sign_notation(target, key, chain, now=at, expires=expires, annotations=said)


async def test_a_signature_is_attached_as_notation_does() -> None:
    store = await stored()
    attached = await attach_notation(store, IMAGE, envelope(env="prod"), created=CREATED)
    document = json.loads(store.content[attached.digest].raw)
    assert document["config"]["mediaType"] == names.NOTATION_SIGNATURE
    assert "artifactType" not in document
    assert {names.ANNOTATION_CREATED, names.ANNOTATION_THUMBPRINTS} == set(document["annotations"])
    (fact,) = derive(await collect(store, IMAGE), TRUST, Wanted()).facts
    assert (
        fact.kind,
        fact.format,
        fact.verdict,
        fact.annotations["env"],
    ) == (Kind.SIGNATURE, Format.NOTATION, Verdict.VERIFIED, "prod")
    assert fact.not_before is not None
    assert fact.not_after is not None


async def test_the_same_is_not_attached_twice() -> None:
    store = await stored()
    first = await attach_notation(store, IMAGE, envelope(), created=CREATED, signer=TRUST)
    later = CREATED + timedelta(hours=1)
    again = await attach_notation(store, IMAGE, envelope(at=later), created=later, signer=TRUST)
    other = await attach_notation(store, IMAGE, envelope(env="prod"), created=CREATED, signer=TRUST)
    assert (first.new, again.new, other.new) == (True, False, True)


async def test_what_expires_is_renewed() -> None:
    store = await stored()
    for hours in (1, 2):
        signed = envelope(expires=CREATED + timedelta(hours=hours))
        attached = await attach_notation(
            store, IMAGE, signed, created=CREATED + timedelta(minutes=hours), signer=TRUST
        )
        assert attached.new


async def test_a_signature_of_something_else_is_not_attached() -> None:
    store = await stored()
    with pytest.raises(EvidenceError):
        await attach_notation(store, IMAGE, envelope(OTHER), created=CREATED, signer=TRUST)
