"""Policies, and facts to judge by them, in few words."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from retinue.attest.anchors import AnchorKey, KeyAnchor, TimeAnchor, Trust
from retinue.attest.proof import Clock, Format, TrustedTime
from retinue.oci.digest import Digest
from retinue.oci.links import Way
from retinue.papers.facts import Fact, Findings, Verdict
from retinue.papers.kinds import Kind
from retinue.policy.decide import decide
from retinue.policy.decision import Decision, Operation, Request
from retinue.policy.globs import Glob
from retinue.policy.model import Attestation, PaperType, Policy, Rule, Signatures, Unmatched
from retinue.policy.ruleset import DEFAULT_FORMATS

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
IMAGE = "reg.acme/prod/app"
VULN = "https://cosign.sigstore.dev/attestation/vuln/v1"
CRITICAL = "/scanner/result/critical"


def digest(name: str) -> Digest:
    return Digest(f"sha256:{sha256(name.encode()).hexdigest()}")


SUBJECT = digest("subject")
PARENT = digest("parent")


@dataclass(frozen=True, slots=True)
class Named:
    """A public key that is only a name: decisions never use keys."""

    name: str

    @property
    def spki(self) -> bytes:
        return self.name.encode()

    @property
    def fingerprint(self) -> str:
        return f"sha256:{sha256(self.spki).hexdigest()}"

    @property
    def pem(self) -> bytes:
        return self.spki

    def verify(self, signature: bytes, message: Iterable[bytes]) -> bool:
        raise AssertionError(signature, message)


def anchor(name: str, *builders: str, **window: Any) -> KeyAnchor:
    """A key anchor with one key of its own."""
    return KeyAnchor(name, (AnchorKey(Named(name), **window),), builders)


TRUST = Trust(
    (anchor("ci", "https://ci.acme/*"), anchor("release", "https://ci.acme/*"), anchor("security")),
    (TimeAnchor("receipts", ()),),
)


def time(at: datetime, authority: str = "receipts", clock: Clock = Clock.RFC3161) -> TrustedTime:
    return TrustedTime(at, clock, authority)


def fact(signer: str = "ci", name: str = "", **more: Any) -> Fact:
    """A verified signature about SUBJECT; `at` gives it one trusted time."""
    name = name or f"{signer} {sorted(more.items(), key=str)}"
    at = more.pop("at", None)
    fields: dict[str, Any] = {
        "paper": digest(f"paper {name}"),
        "subject": SUBJECT,
        "way": Way.REFERRERS,
        "kind": Kind.SIGNATURE,
        "format": Format.BUNDLE,
        "verdict": Verdict.VERIFIED,
        "why": "verified",
        "signature": sha256(name.encode()).hexdigest(),
        "principal": f"key:{signer}",
        "anchors": (signer,),
        "key": Named(signer).fingerprint,
        "times": (time(at),) if at is not None else (),
    }
    return Fact(**{**fields, **more})


def scan(signer: str = "ci", critical: int = 0, **more: Any) -> Fact:
    """A vulnerability scan's attestation."""
    fields: dict[str, Any] = {
        "kind": Kind.VULNERABILITIES,
        "predicate_type": VULN,
        "claims": {CRITICAL: critical},
    }
    return fact(signer, **{**fields, **more})


def signatures(k: int = 1, *of: str, **more: Any) -> Signatures:
    return Signatures(k, of or ("ci", "release"), more.pop("formats", DEFAULT_FORMATS), **more)


def attestation(**more: Any) -> Attestation:
    """One about scans by `ci`."""
    fields: dict[str, Any] = {"type": PaperType(VULN, None, frozenset({VULN})), "by": ("ci",)}
    return Attestation(**{**fields, **more})


def rule(name: str = "prod", **more: Any) -> Rule:
    return Rule(**{"name": name, "images": (Glob("reg.acme/**"),), **more})


def policy(*rules: Rule, **more: Any) -> Policy:
    fields: dict[str, Any] = {"digest": "0" * 64, "unmatched": Unmatched.REFUSE, "trust": TRUST}
    return Policy(**{**fields, "rules": rules, **more})


def request(**more: Any) -> Request:
    return Request(**{"image": IMAGE, "digest": SUBJECT, "operation": Operation.PULL, **more})


def judged(
    by: Policy | Rule, *facts: Fact, blind: Mapping[str, str] | None = None, **more: Any
) -> Decision:
    """What a policy (or one rule) says to these facts at NOW, or `now`."""
    asked = by if isinstance(by, Policy) else policy(by)
    now, listed = more.pop("now", NOW), more.pop("revocations", None)
    return decide(asked, Findings(facts, blind or {}), listed, request(**more), now)


def whys(decision: Decision, check: str) -> Sequence[str]:
    """What is said of the sections (not of the papers) of this name."""
    return [r.why for r in decision.reasons if r.check == check and r.paper is None]


def of_paper(decision: Decision, paper: Fact) -> Sequence[tuple[str, str]]:
    """(outcome, why) of each line about a paper."""
    return [(r.outcome, r.why) for r in decision.reasons if r.paper == paper.paper]


@cache
def public_pem(name: str) -> str:
    """A fresh P-256 key, in PEM; the same one for the same name."""
    key = ec.generate_private_key(ec.SECP256R1())
    encoded = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded.decode().replace("\r", "")


@cache
def certificate_pem(name: str) -> str:
    """A self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(
        subject, subject, key.public_key(), 7, NOW - 1000 * DAY, NOW + 1000 * DAY
    ).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


ROOT = json.dumps({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"})


def files(name: str) -> bytes:
    """Opens what the policies of these tests name; keys and certificates are made on demand."""
    if name.endswith(".pub"):
        return public_pem(name).encode()
    if name.endswith(".pem"):
        return certificate_pem(name).encode()
    if name.endswith(".json"):
        return ROOT.encode()
    raise FileNotFoundError(2, "No such file or directory", name)
