"""Who made a signature: a pinned key, or the key of a certificate; nothing is said of trust yet.

Hints and key ids prove nothing: a hint says which key is tried first.
"""

from base64 import b64encode
from collections.abc import Sequence

from msgspec import Struct

from retinue.attest.anchors import KeyAnchor, Trust
from retinue.attest.errors import KeyUnusable, Malformed, NoAnchor, Refused
from retinue.attest.evidence import Evidence
from retinue.attest.keys.key import PublicKey


class PinnedKey(Struct, frozen=True):
    """A key, and the anchors that have it."""

    key: PublicKey
    anchors: tuple[str, ...]


def hint(key: PublicKey) -> str:
    """What Sigstore's tools write as the hint of a bundle: base64 of the SHA-256 of the SPKI."""
    return b64encode(bytes.fromhex(key.fingerprint.removeprefix("sha256:"))).decode()


def by_key(evidence: Evidence, trust: Trust) -> PinnedKey:
    """The pinned key that made the signature; raises NoAnchor, or Refused where the hint says that
    a pinned key should have, or one of them cannot check it.
    """
    keys = _pinned(trust)
    named = [pinned for pinned in keys if evidence.hint and hint(pinned.key) == evidence.hint]
    problem: NoAnchor | Refused = NoAnchor(
        "signature", f"was made by none of the {len(keys)} keys that are trusted"
    )
    for pinned in (*named, *(pinned for pinned in keys if pinned not in named)):
        try:
            if pinned.key.verify(evidence.signature, evidence.message):
                return pinned
        except Refused as error:  # too much for this kind of key; another one may have signed
            problem = error
    if named and isinstance(problem, NoAnchor):
        key = named[0].key.fingerprint
        raise Refused("signature", f"does not verify with the key that it names, {key}")
    raise problem


def pinned_as(key: PublicKey, trust: Trust) -> PinnedKey | None:
    """The same key as it is pinned; None: it is not."""
    return next((pinned for pinned in _pinned(trust) if pinned.key.spki == key.spki), None)


def _pinned(trust: Trust) -> Sequence[PinnedKey]:
    found: dict[str, PinnedKey] = {}
    for anchor in trust.anchors:
        if not isinstance(anchor, KeyAnchor):
            continue
        for entry in anchor.keys:
            known = found.get(entry.key.fingerprint)
            held = () if known is None else known.anchors
            if anchor.name not in held:
                found[entry.key.fingerprint] = PinnedKey(entry.key, (*held, anchor.name))
    return tuple(found.values())


def by_certificate(evidence: Evidence) -> PublicKey:
    """The key of the leaf certificate, which made the signature; raises Malformed, Refused."""
    from cryptography.exceptions import UnsupportedAlgorithm

    from retinue.attest.certificate import load_certificate
    from retinue.attest.keys.public import wrap

    leaf = load_certificate(evidence.certificates[0], "certificate")
    try:
        key = leaf.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Malformed("certificate", f"its key cannot be read: {error!s:.160}") from None
    try:
        public = wrap(key, "of the certificate")
    except KeyUnusable as error:
        raise Refused("certificate", f"its key {error.reason}") from None
    if not public.verify(evidence.signature, evidence.message):
        raise Refused("signature", "does not verify with the key of its certificate")
    return public
