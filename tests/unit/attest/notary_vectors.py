"""What notation 1.3.2 signed (tests/vectors/trust/notation), and who is trusted for it."""

from pathlib import Path

from cryptography import x509

from retinue.attest.anchors import Trust, X509Anchor
from retinue.attest.target import Target
from retinue.oci import digest as digests
from retinue.oci import names

FOLDER = Path(__file__).parents[2] / "vectors/trust/notation"
KINDS = ("P-256", "P-384", "P-521", "rsa2048", "rsa3072", "rsa4096", "self")
TYPES = {"jws": names.NOTATION_JWS, "cose": names.NOTATION_COSE}


def read(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def certificate(name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(read(name))


def target(raw: bytes | None = None, media_type: str = names.OCI_MANIFEST) -> Target:
    raw = read("target.json") if raw is None else raw
    return Target(digests.of(raw), media_type, raw)


def trusting(*, root: str = "root.pem", **subject: str) -> Trust:
    return Trust((X509Anchor("notary", (certificate(root),), subject),))
