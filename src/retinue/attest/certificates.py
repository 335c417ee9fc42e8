"""Certificates of keyless signers: who they say signed, and whether a trusted root stands behind it.

https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from msgspec import Struct

from retinue.attest.chain import check_path, check_readable, extensions, value
from retinue.attest.der import utf8
from retinue.attest.errors import NoAnchor, Refused
from retinue.attest.sct import check_sct

if TYPE_CHECKING:
    from retinue.attest.anchors import KeylessAnchor
    from retinue.attest.root import TrustedRoot

PART = "certificate"

_ARC = "1.3.6.1.4.1.57264.1."
_ISSUER = 1
_OTHER_NAME = f"{_ARC}7"
_ISSUER_V2 = 8

EXTENSIONS: Mapping[int, tuple[str, bool]] = {
    2: ("githubWorkflowTrigger", False),
    3: ("githubWorkflowSHA", False),
    4: ("githubWorkflowName", False),
    5: ("githubWorkflowRepository", False),
    6: ("githubWorkflowRef", False),
    9: ("buildSignerURI", True),
    10: ("buildSignerDigest", True),
    11: ("runnerEnvironment", True),
    12: ("sourceRepositoryURI", True),
    13: ("sourceRepositoryDigest", True),
    14: ("sourceRepositoryRef", True),
    15: ("sourceRepositoryIdentifier", True),
    16: ("sourceRepositoryOwnerURI", True),
    17: ("sourceRepositoryOwnerIdentifier", True),
    18: ("buildConfigURI", True),
    19: ("buildConfigDigest", True),
    20: ("buildTrigger", True),
    21: ("runInvocationURI", True),
    22: ("sourceRepositoryVisibilityAtSigning", True),
    23: ("deploymentEnvironment", True),
    24: ("tokenSubject", True),
}
"""Fulcio's extensions by the last number of their identifier: the claim's name, and whether its text
is a DER UTF8String, or bare as in the first ones."""

_MAX_TEXT = 4096


class Identity(Struct, frozen=True):
    """`san`: the one subject alternative name, an address, an URI, or Fulcio's other name.
    `claims`: what else the certificate's extensions say, by the names of Fulcio's documents."""

    issuer: str
    san: str
    claims: Mapping[str, str]


def identity(leaf: x509.Certificate) -> Identity:
    """Who a keyless certificate names. Raises Malformed, Refused; proves nothing by itself."""
    found = extensions(leaf, PART)
    texts = _texts(found)
    old, new = texts.pop("", None), texts.pop("issuer", None)
    if old is not None and new is not None and old != new:
        raise Refused(PART, f"names two issuers, {old[:120]!r} and {new[:120]!r}")
    issuer = new if new is not None else old
    if not issuer:
        raise Refused(PART, "names no issuer of the identity")
    return Identity(issuer, _san(found), texts)


def _texts(found: x509.Extensions) -> dict[str, str]:
    """By claim name; the issuer as `issuer`, its older extension as the empty name."""
    known = {_ISSUER: ("", False), _ISSUER_V2: ("issuer", True), **EXTENSIONS}
    texts = {}
    for extension in found:
        dotted = extension.oid.dotted_string
        number = dotted.removeprefix(_ARC)
        if number == dotted or not number.isdecimal() or int(number) not in known:
            continue
        assert isinstance(extension.value, x509.UnrecognizedExtension)
        content = extension.value.value
        if len(content) > _MAX_TEXT:
            raise Refused(PART, f"the extension {dotted} is larger than {_MAX_TEXT} bytes")
        name, encoded = known[int(number)]
        texts[name] = utf8(content, PART) if encoded else _bare(content, dotted)
    return texts


def _bare(content: bytes, oid: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(PART, f"the extension {oid} is not UTF-8") from None


def _san(found: x509.Extensions) -> str:
    names = value(found, x509.SubjectAlternativeName)
    if names is None or len(list(names)) != 1:
        raise Refused(PART, "must have exactly one subject alternative name")
    (name,) = names
    if isinstance(name, x509.OtherName) and name.type_id.dotted_string == _OTHER_NAME:
        text = utf8(name.value, PART)
    elif isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier):
        text = name.value
    else:
        raise Refused(PART, f"its subject alternative name is of a foreign kind: {name}")
    if not text:
        raise Refused(PART, "its subject alternative name is empty")
    return text


def verify_chain(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    root: "TrustedRoot",
    at: datetime,
) -> tuple[x509.Certificate, ...]:
    """That an authority of `root` issued `leaf` for signing code, and showed it to a log.

    `at` is a trusted time: the authority's period and all certificates must cover it.
    Returns the path, leaf first. Raises Refused, or NoAnchor where nobody in `root` issued it.
    """
    purposes = value(extensions(leaf, PART), x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise Refused(PART, "was not issued for signing code")
    usage = value(extensions(leaf, PART), x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        raise Refused(PART, "its key may not make signatures")
    for certificate in intermediates:
        check_readable(certificate, PART)
    path = _path(leaf, intermediates, root, at)
    check_sct(leaf, path[1], root.ct_logs)
    return path


def _path(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    root: "TrustedRoot",
    at: datetime,
) -> tuple[x509.Certificate, ...]:
    problem: NoAnchor | Refused = NoAnchor(PART, f"the trusted root had no authority at {at}")
    for authority in root.authorities:
        if not authority.period.covers(at):
            continue
        between = (*authority.chain[:-1], *intermediates)
        purpose = ExtendedKeyUsageOID.CODE_SIGNING
        try:
            return check_path(leaf, authority.chain[-1:], between, purpose, at, PART)
        except Refused as error:
            problem = error
        except NoAnchor as error:
            problem = problem if isinstance(problem, Refused) else error
    raise problem


def match(who: Identity, anchor: "KeylessAnchor") -> bool:
    """Whether the anchor means this identity: the issuer is equal, and the name equal, or matched
    as a whole by a google-re2 expression (which the policy's loader has found to compile)."""
    if who.issuer != anchor.issuer:
        return False
    if anchor.identity is not None:
        return who.san == anchor.identity
    if anchor.identity_re2 is None:
        return False
    import re2  # type: ignore[import-untyped]

    return re2.fullmatch(anchor.identity_re2, who.san) is not None
