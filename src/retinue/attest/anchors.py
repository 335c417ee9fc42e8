"""Who is trusted: named keys, keyless identities, X.509 roots, and those who are believed the time."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from retinue.attest.keys.key import PublicKey

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from retinue.attest.root import TrustedRoot


class AnchorKey(Struct, frozen=True):
    """One key of an anchor. `since`/`until` bound the signing time; a key that was `revoked` for
    `compromise` is void for all that has no trusted time before that, for another reason from
    then on. Windows are applied by `decide`, not here."""

    key: PublicKey
    since: datetime | None = None
    until: datetime | None = None
    revoked: datetime | None = None
    compromised: bool = False


class KeyAnchor(Struct, frozen=True):
    """Many keys, one principal: rotation."""

    name: str
    keys: tuple[AnchorKey, ...]
    builders: tuple[str, ...] = ()


class KeylessAnchor(Struct, frozen=True):
    """A certificate's identity. Exactly one of `identity` (equal) and `identity_re2` (google-re2,
    full match) is set; the issuer is always compared for equality."""

    name: str
    root: "TrustedRoot"
    issuer: str
    identity: str | None = None
    identity_re2: str | None = None
    builders: tuple[str, ...] = ()


class X509Anchor(Struct, frozen=True):
    """A chain to one of `roots`, whose leaf's subject has all of `subject` (RFC 4514 short names)."""

    name: str
    roots: tuple["Certificate", ...]
    subject: Mapping[str, str]
    builders: tuple[str, ...] = ()


class TimeAnchor(Struct, frozen=True):
    """A timestamp authority that is believed the time, and nothing else. `chain`: leaf or
    intermediates (possibly none) up to the root, which comes last."""

    name: str
    chain: tuple["Certificate", ...]


Anchor: TypeAlias = KeyAnchor | KeylessAnchor | X509Anchor


class PinnedKey(Struct, frozen=True):
    """A key, the anchors that have it, and who counts as its signer.

    `hint` is what Sigstore's tools write of it in a bundle: base64 of the SHA-256 of the SPKI.
    """

    key: PublicKey
    anchors: tuple[str, ...]
    hint: str

    @property
    def principal(self) -> str:
        return f"key:{self.anchors[0]}"


class Trust(Struct, frozen=True, dict=True):
    """All that verification needs to know. `roots` vouch for logs and times of key-signed bundles
    too; every keyless anchor's root is among them."""

    anchors: tuple[Anchor, ...] = ()
    times: tuple[TimeAnchor, ...] = ()
    roots: tuple["TrustedRoot", ...] = ()

    @cached_property
    def pinned(self) -> Mapping[str, PinnedKey]:
        """Each pinned key once, by its hint, in the order of the anchors."""
        found: dict[str, PinnedKey] = {}
        for anchor in self.anchors:
            for entry in anchor.keys if isinstance(anchor, KeyAnchor) else ():
                hint = hint_of(entry.key)
                held = found[hint].anchors if hint in found else ()
                if anchor.name not in held:
                    found[hint] = PinnedKey(entry.key, (*held, anchor.name), hint)
        return found


def hint_of(key: PublicKey) -> str:
    """Base64 of the SHA-256 of the SPKI."""
    return b64encode(bytes.fromhex(key.fingerprint.removeprefix("sha256:"))).decode()
