"""Who made a signature: a pinned key, or the key of a certificate; nothing is said of trust yet.

Hints and key ids prove nothing: a hint says which key is tried first.
"""

from retinue.attest.anchors import PinnedKey, Trust
from retinue.attest.errors import KeyUnusable, Malformed, NoAnchor, Refused
from retinue.attest.evidence import Evidence
from retinue.attest.keys.key import PublicKey


def by_key(evidence: Evidence, trust: Trust) -> PinnedKey:
    """The pinned key that made the signature; raises NoAnchor, or Refused where the hint says that
    a pinned key should have, or one of them cannot check it.
    """
    named = trust.pinned.get(evidence.hint)
    problem: Refused | None = None
    others = (pinned for pinned in trust.pinned.values() if pinned is not named)
    for pinned in others if named is None else (named, *others):
        try:
            if pinned.key.verify(evidence.signature, evidence.message):
                return pinned
        except Refused as error:  # too much for this kind of key; another one may have signed
            problem = error
    if problem is not None:
        raise problem
    if named is not None:
        key = named.key.fingerprint
        raise Refused("signature", f"does not verify with the key that it names, {key}")
    count = len(trust.pinned)
    raise NoAnchor("signature", f"was made by none of the {count} keys that are trusted")


def pinned_as(key: PublicKey, trust: Trust) -> PinnedKey | None:
    """The same key as it is pinned; None: it is not."""
    return next((each for each in trust.pinned.values() if each.key.spki == key.spki), None)


def by_certificate(evidence: Evidence) -> PublicKey:
    """The key of the leaf certificate, which made the signature; raises Malformed, Refused."""
    from retinue.attest.certificate import load_certificate
    from retinue.attest.keys.public import wrap
    from retinue.attest.unreadable import UNREADABLE

    leaf = load_certificate(evidence.certificates[0], "certificate")
    try:
        key = leaf.public_key()
    except UNREADABLE as error:
        raise Malformed("certificate", f"its key cannot be read: {error!s:.160}") from None
    try:
        public = wrap(key, "of the certificate")
    except KeyUnusable as error:
        raise Refused("certificate", f"its key {error.reason}") from None
    if not public.verify(evidence.signature, evidence.message):
        raise Refused("signature", "does not verify with the key of its certificate")
    return public
