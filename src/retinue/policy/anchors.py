"""The anchors of a policy file: who is trusted with what, from the files that the policy names."""

import re
from collections.abc import Callable, Iterator, Mapping
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
from retinue.attest.errors import KeyUnusable
from retinue.policy import expressions, globs, units
from retinue.policy.errors import PolicyInvalid
from retinue.policy.fields import Table

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from retinue.attest.keys.key import PublicKey
    from retinue.attest.root import TrustedRoot

MAX_FILE = 4 * 1024 * 1024
MAX_KEYS = 1000
INLINE = "-----BEGIN "
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,9})){1,20}")
LOG = "tlog"
"""What `trusted_time` calls the integrated times of logs; no anchor may be called that."""


class Files(Struct):
    """Opens what a policy names; remembers the bytes, which are part of its epoch."""

    opener: Callable[[str], bytes]
    contents: dict[str, bytes] = {}

    def read(self, name: str, path: str) -> bytes:
        if name not in self.contents:
            try:
                self.contents[name] = self.opener(name)
            except OSError as problem:
                reason = problem.strerror or type(problem).__name__
                raise PolicyInvalid(path, f"cannot read {name!r}: {reason.lower()}") from None
        if len(self.contents[name]) > MAX_FILE:
            raise PolicyInvalid(path, f"{name!r} has more than {MAX_FILE} bytes")
        return self.contents[name]

    def pem(self, table: Table, name: str) -> tuple[bytes, str]:
        """What a field names, or holds itself, and how to call it."""
        text = table.text(name)
        if text.startswith(INLINE):
            return text.encode(), table.at(name)
        return self.read(text, table.at(name)), text


def load(document: Table, files: Files) -> Trust:
    """The table `anchors`; raises PolicyInvalid."""
    anchors: list[Anchor] = []
    times: list[TimeAnchor] = []
    for name, table in document.named("anchors"):
        if name == LOG:
            raise PolicyInvalid(table.path, f"the name {LOG!r} is taken: it means the logs' times")
        anchor = _anchor(name, table, files)
        table.done()
        if isinstance(anchor, TimeAnchor):
            times.append(anchor)
        else:
            anchors.append(anchor)
    _refuse_shared(anchors)
    roots = [anchor.root for anchor in anchors if isinstance(anchor, KeylessAnchor)]
    roots += list(_more_roots(document, files))
    return Trust(
        tuple(anchors), tuple(times), tuple({root.digest: root for root in roots}.values())
    )


def _anchor(name: str, table: Table, files: Files) -> Anchor | TimeAnchor:
    kind = table.text("type")
    if kind not in _KINDS:
        raise table.wrong("type", f"{kind[:80]!r} is none of: {', '.join(_KINDS)}")
    return _KINDS[kind](name, table, files)


def _key(name: str, table: Table, files: Files) -> KeyAnchor:
    keys = tuple(_anchor_key(each, files) for each in table.tables("keys"))
    if not 1 <= len(keys) <= MAX_KEYS:
        raise table.wrong("keys", f"must name 1 to {MAX_KEYS} keys")
    return KeyAnchor(name, keys, _builders(table))


def _anchor_key(table: Table, files: Files) -> AnchorKey:
    pem, called = files.pem(table, "pem")
    since, until = table.unit("from", units.instant), table.unit("until", units.instant)
    if since is not None and until is not None and until <= since:
        raise table.wrong("until", "is not after `from`")
    revoked, compromised = None, False
    if table.has("revoked"):
        below = table.table("revoked")
        revoked = below.unit("at", units.instant)
        compromised = below.text("reason") == "compromise"
        if revoked is None:
            raise below.wrong("at", "is missing")
        below.done()
    table.done()
    return AnchorKey(public_key(pem, called, table.at("pem")), since, until, revoked, compromised)


def public_key(pem: bytes, called: str, path: str) -> "PublicKey":
    from retinue.attest.keys.pem import load_public

    try:
        return load_public(pem, called)
    except KeyUnusable as problem:
        raise PolicyInvalid(path, str(problem)) from None


def _keyless(name: str, table: Table, files: Files) -> KeylessAnchor:
    root = _root(table.text("root"), table.at("root"), files)
    issuer = table.text("issuer")
    given = [each for each in ("identity", "uri", "identity_re2", "uri_re2") if table.has(each)]
    if len(given) != 1:
        raise table.wrong("identity", "give one of `identity`, `uri`, `identity_re2`, `uri_re2`")
    text = table.text(given[0])
    if not given[0].endswith("_re2"):
        return KeylessAnchor(name, root, issuer, identity=text, builders=_builders(table))
    expressions.check(text, table.at(given[0]))
    return KeylessAnchor(name, root, issuer, identity_re2=text, builders=_builders(table))


def _root(name: str, path: str, files: Files) -> "TrustedRoot":
    from retinue.attest.root import RootInvalid, read_root

    try:
        return read_root(files.read(name, path))
    except RootInvalid as problem:
        raise PolicyInvalid(path, str(problem)) from None


def _more_roots(document: Table, files: Files) -> Iterator["TrustedRoot"]:
    """Roots whose logs and clocks count for signatures by keys, too."""
    for i, name in enumerate(document.texts("roots")):
        yield _root(name, f"{document.at('roots')}[{i}]", files)


def _x509(name: str, table: Table, files: Files) -> X509Anchor:
    names = table.texts("roots", empty=False)
    roots: list[Certificate] = []
    for i, each in enumerate(names):
        path = f"{table.at('roots')}[{i}]"
        pem = each.encode() if each.startswith(INLINE) else files.read(each, path)
        roots += certificates(pem, path)
    if not table.has("subject"):
        raise table.wrong("subject", "is missing; `{}` takes every subject below these roots")
    subject = table.strings("subject")
    for each in subject:
        _check_attribute(each, table.at("subject"))
    return X509Anchor(name, tuple(roots), subject, _builders(table))


def _check_attribute(name: str, path: str) -> None:
    """A name that certificates' subjects are compared by: short, or an object identifier."""
    from retinue.attest.codesigning import SHORT_NAMES

    if name.upper() not in SHORT_NAMES and not _OID.fullmatch(name):
        raise PolicyInvalid(path, f"{name[:80]!r} is none of {', '.join(SHORT_NAMES)}, nor an OID")


def _tsa(name: str, table: Table, files: Files) -> TimeAnchor:
    pem, _ = files.pem(table, "chain")
    return TimeAnchor(name, certificates(pem, table.at("chain")))


def certificates(pem: bytes, path: str) -> tuple["Certificate", ...]:
    from cryptography import x509

    try:
        if INLINE.encode() not in pem:
            return (x509.load_der_x509_certificate(pem),)
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as problem:
        raise PolicyInvalid(path, f"holds no certificates: {str(problem)[:200]}") from None


def _builders(table: Table) -> tuple[str, ...]:
    return tuple(glob.text for glob in table.each("builders", globs.parse))


_KINDS: Mapping[str, Callable[[str, Table, Files], Anchor | TimeAnchor]] = {
    "key": _key,
    "keyless": _keyless,
    "x509": _x509,
    "tsa": _tsa,
}


def _refuse_shared(anchors: list[Anchor]) -> None:
    """Two anchors with one key would make one signer count as two."""
    owners: dict[str, str] = {}
    for anchor in anchors:
        for key in anchor.keys if isinstance(anchor, KeyAnchor) else ():
            owner = owners.setdefault(key.key.fingerprint, anchor.name)
            if owner != anchor.name:
                path = f"anchors.{anchor.name}.keys"
                raise PolicyInvalid(path, f"{key.key.fingerprint} is a key of {owner!r} already")
        if isinstance(anchor, KeyAnchor) and len({k.key.fingerprint for k in anchor.keys}) != len(
            anchor.keys
        ):
            raise PolicyInvalid(f"anchors.{anchor.name}.keys", "names one key twice")
