"""A policy in a few words, for `verify` without a file: these keys, that identity."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Struct

from retinue.attest.anchors import (
    Anchor,
    AnchorKey,
    KeyAnchor,
    KeylessAnchor,
    TimeAnchor,
    Trust,
    X509Anchor,
)
from retinue.attest.keys.key import PublicKey
from retinue.attest.proof import Format
from retinue.papers.limits import Limits
from retinue.policy import expressions, ruleset
from retinue.policy.errors import PolicyInvalid
from retinue.policy.globs import Glob
from retinue.policy.model import (
    Attestation,
    Coverage,
    Naming,
    Policy,
    Rule,
    Select,
    Signatures,
    Unmatched,
)

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from retinue.attest.root import TrustedRoot

SIGNED = frozenset(Format) - {Format.UNSIGNED}
NAME = "command line"


class Words(Struct, frozen=True):
    """What somebody says of whom he trusts, and what he wants.

    Every key is a signer of his own. An identity (or an RE2 expression for it, which must match all
    of it) needs its issuer and a root. `ca_roots` are X.509 roots; `subject` is what a
    certificate below them must have (none: any). With `predicate_type` (or a short name) an
    attestation is wanted, else a signature, by `signers` distinct ones.
    """

    keys: Sequence[PublicKey] = ()
    identity: str | None = None
    identity_re2: str | None = None
    issuer: str | None = None
    root: "TrustedRoot | None" = None
    ca_roots: Sequence["Certificate"] = ()
    subject: Mapping[str, str] = {}
    times: Sequence[TimeAnchor] = ()
    predicate_type: str | None = None
    annotations: Mapping[str, str] = {}
    signers: int = 1
    log_required: bool = False
    papers_in: Sequence[str] = ()
    index: Coverage = Coverage.SELF
    select: Select = Select.ANY
    limits: Limits = Limits()


def policy(words: Words) -> Policy:
    """The policy that says so, about every image; raises PolicyInvalid, naming the word."""
    trust = _trust(words)
    of = tuple(anchor.name for anchor in trust.anchors)
    if not of:
        raise PolicyInvalid(NAME, "names nobody to trust: give a key, an identity or X.509 roots")
    if not 1 <= words.signers <= 1000:
        raise PolicyInvalid("signers", "must be 1 to 1000")
    rule = Rule(
        name=NAME,
        images=(Glob("**"),),
        papers_in=tuple(words.papers_in),
        index=words.index,
        logged=words.log_required,
        signatures=_signatures(words, of),
        attestations=_attestations(words, of),
    )
    return Policy(
        digest=_digest(words, trust),
        unmatched=Unmatched.REFUSE,
        rules=(rule,),
        trust=trust,
        limits=words.limits,
    )


def _signatures(words: Words, of: tuple[str, ...]) -> Signatures | None:
    if words.predicate_type is not None:
        return None
    return Signatures(words.signers, of, SIGNED, words.annotations, Naming.ANY)


def _attestations(words: Words, of: tuple[str, ...]) -> tuple[Attestation, ...]:
    if words.predicate_type is None:
        return ()
    if words.signers != 1:
        raise PolicyInvalid("signers", "counts signatures; an attestation needs one signer")
    if words.annotations:
        raise PolicyInvalid("annotations", "are of signatures; an attestation has a predicate")
    kind = ruleset.paper_type(words.predicate_type, "type")
    return (Attestation(kind, of, words.select, builders=False),)


def _trust(words: Words) -> Trust:
    keys = {key.fingerprint: key for key in words.keys}
    anchors: list[Anchor] = [
        KeyAnchor(f"key {i}" if len(keys) > 1 else "key", (AnchorKey(key),))
        for i, key in enumerate(keys.values(), 1)
    ]
    anchors += [*_keyless(words), *_x509(words)]
    roots = () if words.root is None else (words.root,)
    return Trust(tuple(anchors), tuple(words.times), roots)


def _keyless(words: Words) -> Sequence[KeylessAnchor]:
    if words.identity is None and words.identity_re2 is None:
        if words.issuer is not None:
            raise PolicyInvalid("identity", "is missing: anybody can have a certificate")
        return ()
    if words.identity is not None and words.identity_re2 is not None:
        raise PolicyInvalid("identity", "is given twice; give a name or an expression")
    if words.issuer is None:
        raise PolicyInvalid("issuer", "is missing: who vouched for this identity?")
    if words.root is None:
        raise PolicyInvalid("root", "is missing: an identity needs a trusted root")
    if words.identity_re2 is not None:
        expressions.check(words.identity_re2, "identity")
    identity = (words.identity, words.identity_re2)
    return (KeylessAnchor("identity", words.root, words.issuer, *identity),)


def _x509(words: Words) -> Sequence[X509Anchor]:
    if not words.ca_roots:
        return ()
    return (X509Anchor("certificate", tuple(words.ca_roots), words.subject),)


def _digest(words: Words, trust: Trust) -> str:
    """Of what was said, the same in every process: no sets, whose order is anybody's guess."""
    asked = [words.predicate_type, words.signers, words.log_required, words.index, words.select]
    said = [asked, sorted(words.annotations.items()), list(words.papers_in)]
    for anchor in trust.anchors:
        if isinstance(anchor, KeyAnchor):
            said.append([key.key.fingerprint for key in anchor.keys])
        elif isinstance(anchor, KeylessAnchor):
            said.append([anchor.issuer, anchor.identity, anchor.identity_re2])
        else:
            said.append([*map(_fingerprint, anchor.roots), *sorted(anchor.subject.items())])
    said += [[time.name, *map(_fingerprint, time.chain)] for time in trust.times]
    said += [[root.digest] for root in trust.roots]
    return sha256(json.dumps(said).encode()).hexdigest()


def _fingerprint(certificate: "Certificate") -> str:
    from cryptography.hazmat.primitives.hashes import SHA256

    return certificate.fingerprint(SHA256()).hex()
