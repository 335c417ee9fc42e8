"""k of n: however signatures are wrapped, chained or attached again, they make no signer more."""

import json
from base64 import b64encode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from paperkit import IMAGE
from policies import NOW, digest, fact, judged, policy, rule, signatures
from retinue.attest.anchors import AnchorKey, KeyAnchor, Trust, X509Anchor
from retinue.attest.keys.private import wrap_private
from retinue.attest.keys.public import wrap
from retinue.attest.notation import sign_notation, verify_notation
from retinue.attest.proof import Proof
from retinue.attest.sign import sign_statement, signature_statement
from retinue.attest.target import Target
from retinue.attest.verify import verify_bundle
from retinue.oci import names
from retinue.papers.facts import Fact
from x509kit import Key, certificate, new_key

TARGET = Target(IMAGE.digest, IMAGE.media_type, IMAGE.raw)
TOP_KEY, MIDDLE_KEY, KEY = new_key(), new_key(), new_key()
OLD_TOP, NEW_TOP = (certificate("root", TOP_KEY, days=days) for days in (700, 900))
LEAF = certificate("builder", KEY, (OLD_TOP, TOP_KEY))
RENAMED = certificate("another", KEY, (OLD_TOP, TOP_KEY))


def pem(*chain: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in chain)


def rewrapped(envelope: bytes, *chain: x509.Certificate) -> bytes:
    """The same signature, with another chain beside it: nobody signs that."""
    document = json.loads(envelope)
    document["header"]["x5c"] = [
        b64encode(each.public_bytes(Encoding.DER)).decode() for each in chain
    ]
    return json.dumps(document).encode()


def notation() -> bytes:
    return sign_notation(TARGET, wrap_private(KEY, "builder"), pem(LEAF, OLD_TOP), now=NOW)


def counted(trust: Trust, *proofs: Proof) -> int:
    """How many signers these make."""
    facts = [
        fact(
            name=f"{i}", principal=each.principal, anchors=each.anchors, key=each.key,
            signature=each.signature, format=each.format,
        )
        for i, each in enumerate(proofs)
    ]  # fmt: skip
    of = [anchor.name for anchor in trust.anchors]
    enough = [
        k
        for k in range(1, len(proofs) + 1)
        if judged(policy(rule(signatures=signatures(k, *of)), trust=trust), *facts).allowed
    ]
    return max(enough, default=0)


ONE = Trust((X509Anchor("notary", (OLD_TOP, NEW_TOP), {}),))
TWO = Trust((X509Anchor("old", (OLD_TOP,), {}), X509Anchor("new", (NEW_TOP,), {})))


@pytest.mark.parametrize("trust", [ONE, TWO])
def test_a_chain_under_a_renewed_root_is_no_second_signer(trust: Trust) -> None:
    """The root's key and name are the same, so the leaf chains to both."""
    wrapped = (
        notation(),
        rewrapped(notation(), LEAF, NEW_TOP),
        rewrapped(notation(), RENAMED, NEW_TOP),
    )
    proofs = [verify_notation(each, names.NOTATION_JWS, TARGET, trust) for each in wrapped]

    assert {each.key for each in proofs} == {proofs[0].key}
    assert counted(trust, *proofs) == 1


def test_a_key_is_one_signer_raw_and_in_a_certificate() -> None:
    pinned = KeyAnchor("ci", (AnchorKey(wrap(KEY.public_key(), "ci")),))
    trust = Trust((pinned, *ONE.anchors))
    raw = sign_statement(signature_statement(IMAGE.digest, {}), wrap_private(KEY, "ci"))
    document = json.loads(raw)
    der = b64encode(LEAF.public_bytes(Encoding.DER)).decode()
    document["verificationMaterial"].pop("publicKey")
    document["verificationMaterial"]["certificate"] = {"rawBytes": der}
    proofs = [
        verify_bundle(raw, TARGET, trust),
        verify_bundle(json.dumps(document).encode(), TARGET, trust),
        verify_notation(notation(), names.NOTATION_JWS, TARGET, trust),
    ]

    assert {each.principal for each in proofs} == {"key:ci", "x509:CN=builder,O=Acme"}
    assert counted(trust, *proofs) == 1


def test_one_name_with_two_keys_is_one_signer_and_two_names_are_two() -> None:
    def signed(name: str, key: Key) -> Proof:
        leaf = certificate(name, key, (OLD_TOP, TOP_KEY))
        envelope = sign_notation(TARGET, wrap_private(key, name), pem(leaf, OLD_TOP), now=NOW)
        return verify_notation(envelope, names.NOTATION_JWS, TARGET, ONE)

    ada, again, bob = signed("ada", new_key()), signed("ada", new_key()), signed("bob", new_key())

    assert counted(ONE, ada, again) == 1
    assert counted(ONE, ada, bob) == 2


NAMES, KEYS = ("x509:a", "x509:b", "key:ci", "keyless:i c"), ("k1", "k2", "k3")
MADE = st.builds(
    lambda name, key, i: fact(
        name=f"{name} {key} {i}", principal=name, key=key, signature=f"{key} {i}"
    ),
    st.sampled_from(NAMES),
    st.sampled_from(KEYS),
    st.integers(0, 1),
)


@given(st.lists(MADE, max_size=5), st.data())
def test_wrapping_again_what_exists_never_raises_a_count(
    facts: list[Fact], data: st.DataObject
) -> None:
    """Whatever ships with a signature may be another: the name, the anchors, the paper."""
    again = st.builds(
        lambda each, name, anchors, i: replace(
            each, paper=digest(f"again {i}"), principal=name, anchors=anchors
        ),
        st.sampled_from(facts),
        st.sampled_from(NAMES),
        st.sampled_from((("ci",), ("release",), ("ci", "release"))),
        st.integers(),
    )
    more = data.draw(st.lists(again, max_size=4)) if facts else []
    for k in (1, 2, 3):
        asked = rule(signatures=signatures(k))
        if judged(asked, *facts, *more).allowed:
            assert judged(asked, *facts).allowed
