"""What vouches for a signature that verified: its time, its log entry, its certificate's chain.

What is there of an authority that is trusted must verify; what is of others says nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from retinue.attest.anchors import KeylessAnchor, PinnedKey, Trust, X509Anchor
from retinue.attest.errors import EvidenceError, NoAnchor, Refused
from retinue.attest.evidence import Evidence
from retinue.attest.keys.key import PublicKey
from retinue.attest.makers import pinned_as
from retinue.attest.proof import TrustedTime

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from retinue.attest.codesigning import Chain
    from retinue.attest.logentry import Hashes
    from retinue.attest.root import TrustedRoot


class Voucher(Struct, frozen=True):
    """Who signed, by which anchors, and when."""

    key: str
    principal: str
    anchors: tuple[str, ...]
    times: tuple[TrustedTime, ...]
    logged: bool
    certificate: Mapping[str, str] = {}
    not_before: datetime | None = None
    not_after: datetime | None = None


class _Seen(Struct, frozen=True):
    """What logs and clocks under some roots said."""

    times: tuple[TrustedTime, ...]
    logged: bool


_NOTHING = _Seen((), logged=False)


def for_key(pinned: PinnedKey, evidence: Evidence, hashes: "Hashes", trust: Trust) -> Voucher:
    """A pinned key, whatever certificate there is for it besides. Raises Malformed, Refused."""
    verifier = evidence.certificates[0] if evidence.certificates else pinned.key.spki
    seen = _seen(evidence, verifier, hashes, trust, trust.roots)
    key = pinned.key.fingerprint
    return Voucher(key, pinned.principal, pinned.anchors, seen.times, seen.logged)


def _seen(
    evidence: Evidence,
    verifier: bytes,
    hashes: "Hashes",
    trust: Trust,
    roots: Sequence["TrustedRoot"],
) -> _Seen:
    if not evidence.entries and not evidence.timestamps:
        return _NOTHING
    stamps = tuple(_stamps(evidence, hashes, trust, roots))
    times = list(stamps)
    logged = False
    for entry in evidence.entries:
        from retinue.attest.tlog import verify_entry

        _check_form(evidence.version, entry.promise, entry.inclusion)
        try:
            proof = verify_entry(
                entry,
                roots,
                key_or_cert=verifier,
                signature=evidence.signature,
                artifact_hashes=hashes,
                times=stamps,
            )
        except NoAnchor:
            continue
        logged = True
        times += [proof.integrated] if proof.integrated is not None else []
    return _Seen(tuple(times), logged)


def _check_form(version: str, promise: object, inclusion: object) -> None:
    """Bundle 0.1, and legacy annotations, hold promises of the log; later ones paths in it."""
    if version in {"", "0.1"} and promise is None:
        raise Refused("log entry", "has no signed entry timestamp, which its format needs")
    if version not in {"", "0.1"} and inclusion is None:
        raise Refused("log entry", f"has no inclusion proof, which a bundle {version} needs")


def _stamps(
    evidence: Evidence, hashes: "Hashes", trust: Trust, roots: Sequence["TrustedRoot"]
) -> Sequence[TrustedTime]:
    if not evidence.timestamps:
        return ()
    from retinue.attest.timestamp import verify_timestamp

    found = []
    for token in evidence.timestamps:
        try:
            signature, whole = evidence.signature, hashes.envelope
            found.append(verify_timestamp(token, signature, trust.times, roots, whole=whole))
        except NoAnchor:
            continue
    return found


def for_certificate(key: PublicKey, evidence: Evidence, hashes: "Hashes", trust: Trust) -> Voucher:
    """A keyless signer, or one with a chain to an X.509 anchor, or whose key is pinned besides.

    Raises Malformed, Refused, NoAnchor.
    """
    problem: EvidenceError = NoAnchor("certificate", "no keyless or X.509 anchor is trusted")
    for kind, judge in ((KeylessAnchor, _keyless), (X509Anchor, _x509)):
        if not any(isinstance(anchor, kind) for anchor in trust.anchors):
            continue
        try:
            return judge(key, evidence, hashes, trust)
        except NoAnchor as error:
            problem = problem if isinstance(problem, Refused) else error
        except Refused as error:
            problem = error
    pinned = pinned_as(key, trust)
    if pinned is not None:
        return for_key(pinned, evidence, hashes, trust)
    raise problem


def _keyless(key: PublicKey, evidence: Evidence, hashes: "Hashes", trust: Trust) -> Voucher:
    from retinue.attest.certificates import identity, match

    anchors = [anchor for anchor in trust.anchors if isinstance(anchor, KeylessAnchor)]
    chain = _certificates(evidence)
    seen = _under_roots(chain, evidence, hashes, trust, anchors)
    who = identity(chain[0])
    matching = [anchor for anchor in anchors if anchor.root.digest in seen and match(who, anchor)]
    if not matching:
        reason = f"{who.san!r:.200} of {who.issuer!r:.200} is no identity that is trusted"
        raise NoAnchor("certificate", reason)
    vouched = seen[matching[0].root.digest]
    return Voucher(
        key.fingerprint,
        f"keyless:{who.issuer} {who.san}",
        tuple(anchor.name for anchor in matching),
        vouched.times,
        vouched.logged,
        {"issuer": who.issuer, "san": who.san, **who.claims},
        chain[0].not_valid_before_utc,
        chain[0].not_valid_after_utc,
    )


def _under_roots(
    chain: Sequence["Certificate"],
    evidence: Evidence,
    hashes: "Hashes",
    trust: Trust,
    anchors: Sequence[KeylessAnchor],
) -> Mapping[str, _Seen]:
    """The roots (by digest) whose own authorities, logs and clocks vouch for this certificate."""
    found: dict[str, _Seen] = {}
    problem: EvidenceError = NoAnchor("certificate", "no root vouches for it")
    for root in {anchor.root.digest: anchor.root for anchor in anchors}.values():
        try:
            found[root.digest] = _under(root, chain, evidence, hashes, trust)
        except NoAnchor as error:
            problem = problem if isinstance(problem, Refused) else error
        except Refused as error:
            problem = error
    if not found:
        raise problem
    return found


def _under(
    root: "TrustedRoot",
    chain: Sequence["Certificate"],
    evidence: Evidence,
    hashes: "Hashes",
    trust: Trust,
) -> _Seen:
    from retinue.attest.certificates import verify_chain

    seen = _seen(evidence, evidence.certificates[0], hashes, trust, (root,))
    if not seen.times:
        raise Refused("certificate", "no trusted time says that it was valid when it signed")
    if root.wants_log and not seen.logged:
        raise Refused("certificate", "no log of the trusted root holds the signature")
    for time in seen.times:
        verify_chain(chain[0], chain[1:], root, time.at)
    return seen


def _certificates(evidence: Evidence) -> Sequence["Certificate"]:
    from retinue.attest.certificate import load_certificate

    return [load_certificate(der, "certificate") for der in evidence.certificates]


def _x509(key: PublicKey, evidence: Evidence, hashes: "Hashes", trust: Trust) -> Voucher:
    from retinue.attest.codesigning import principal_of

    anchors, chain = _chained(evidence, trust)
    seen = _seen(evidence, evidence.certificates[0], hashes, trust, trust.roots)
    for time in seen.times:
        if not chain.since <= time.at <= chain.until:
            reason = f"was valid {chain.since} to {chain.until}, but signed {time.at}"
            raise Refused("certificate", reason)
    subject = chain.leaf.subject.rfc4514_string()
    return Voucher(
        key.fingerprint,
        principal_of(chain.leaf, key.fingerprint),
        anchors,
        seen.times,
        seen.logged,
        {"subject": subject, "issuer": chain.leaf.issuer.rfc4514_string()},
        chain.since,
        chain.until,
    )


def _chained(evidence: Evidence, trust: Trust) -> tuple[tuple[str, ...], "Chain"]:
    """The X.509 anchors with a root above the certificates, and the first one's chain; raises
    Malformed, NoAnchor. The root itself may be left out of a bundle.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    from retinue.attest.codesigning import check_purpose, matches, read_chain

    found: dict[str, Chain] = {}
    problem = NoAnchor("certificate", "no X.509 anchor is trusted")
    for anchor in [anchor for anchor in trust.anchors if isinstance(anchor, X509Anchor)]:
        for root in anchor.roots:
            top = root.public_bytes(Encoding.DER)
            try:
                chain = read_chain((*(der for der in evidence.certificates if der != top), top))
                check_purpose(chain)
            except Refused as error:
                problem = NoAnchor(error.part, error.reason)
                continue
            if matches(anchor, chain):
                found.setdefault(anchor.name, chain)
            else:
                subject = chain.leaf.subject.rfc4514_string()
                problem = NoAnchor("certificate", f"{subject[:200]!r} is not the subject wanted")
    if not found:
        raise problem
    return tuple(found), next(iter(found.values()))
