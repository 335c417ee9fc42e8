"""Who signs: a key, or an identity that a token proves for some minutes."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from retinue.cli import passwords
from retinue.cli.problems import BadUsage
from retinue.cli.reading import read_file
from retinue.cli.witnesses import MAX_FILE, witnesses

if TYPE_CHECKING:
    from retinue.attest.anchors import Trust
    from retinue.attest.formats.simplesigning import SimpleSignature
    from retinue.attest.keys.key import Signer
    from retinue.attest.services import Services, Witnesses
    from retinue.attest.target import Target

USUAL_KEYS = ("retinue.key", "cosign.key")
TOKEN = "SIGSTORE_ID_TOKEN"  # noqa: S105 -- the name of a variable


def arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who signs")
    group.add_argument(
        "--key", metavar="KEY", help="a private key: a file, env://NAME, hashivault://NAME, ..."
    )
    passwords.arguments(group)
    group.add_argument(
        "--identity-token",
        metavar="FILE",
        help=f"sign without a key, as whom this token names; - for standard input [${TOKEN}]",
    )
    group.add_argument(
        "--trust-config", metavar="FILE", type=Path, help="a Sigstore client trust config"
    )
    group.add_argument(
        "--signing-config", metavar="FILE", type=Path, help="a Sigstore signing config, and"
    )
    group.add_argument(
        "--trusted-root", metavar="FILE", type=Path, help="the trusted root that judges answers"
    )
    group.add_argument(
        "--timestamp-server-url",
        metavar="URL",
        help="with --key: have the signature stamped with a time there (RFC 3161)",
    )
    group.add_argument(
        "--rekor-url", metavar="URL", help="with --key: enter it in this transparency log (Rekor 1)"
    )


class Hand(Protocol):
    """Signs statements."""

    @property
    def name(self) -> str:
        """A key's fingerprint, or `keyless`."""
        ...

    def bundle(self, statement: bytes) -> bytes: ...

    def simple(
        self, target: "Target", reference: str, annotations: Mapping[str, str]
    ) -> "SimpleSignature":
        """A signature in cosign's legacy form; raises BadUsage."""
        ...

    def envelope(self, statement: bytes) -> tuple[bytes, Mapping[str, str]]:
        """An attestation in cosign's legacy form, and its layer's annotations; raises BadUsage."""
        ...

    def trust(self, bundle: bytes) -> "Trust":
        """Trust in whoever signed this bundle of ours, and in nobody else."""
        ...


class KeyHand(Struct, frozen=True):
    signer: "Signer"

    @property
    def name(self) -> str:
        return self.signer.public.fingerprint

    def bundle(self, statement: bytes) -> bytes:
        from retinue.attest.sign import sign_statement

        return sign_statement(statement, self.signer)

    def simple(
        self, target: "Target", reference: str, annotations: Mapping[str, str]
    ) -> "SimpleSignature":
        from retinue.attest.sign import sign_simple

        return sign_simple(target, reference, annotations, self.signer)

    def envelope(self, statement: bytes) -> tuple[bytes, Mapping[str, str]]:
        from retinue.attest.sign import sign_envelope

        return sign_envelope(statement, self.signer), {}

    def trust(self, bundle: bytes = b"") -> "Trust":  # noqa: ARG002 -- the key is the same in all
        from retinue.attest.anchors import AnchorKey, KeyAnchor, Trust

        return Trust((KeyAnchor("signer", (AnchorKey(self.signer.public),)),))


class WitnessedHand(Struct, frozen=True):
    """A key, whose signatures clocks and logs witness."""

    by: KeyHand
    witnesses: "Witnesses"

    @property
    def name(self) -> str:
        return self.by.name

    def bundle(self, statement: bytes) -> bytes:
        from retinue.attest.witnessed import sign_statement

        return sign_statement(statement, self.by.signer, self.witnesses)

    def simple(
        self, target: "Target", reference: str, annotations: Mapping[str, str]
    ) -> "SimpleSignature":
        from retinue.attest.witnessed import sign_simple

        return sign_simple(target, reference, annotations, self.by.signer, self.witnesses)

    def envelope(self, statement: bytes) -> tuple[bytes, Mapping[str, str]]:
        from retinue.attest.witnessed import sign_envelope

        return sign_envelope(statement, self.by.signer, self.witnesses)

    def trust(self, bundle: bytes) -> "Trust":
        from msgspec.structs import replace

        root = self.witnesses.root
        return replace(self.by.trust(bundle), roots=() if root is None else (root,))


class TokenHand(Struct, frozen=True):
    token: str
    services: "Services"

    @property
    def name(self) -> str:
        return "keyless"

    def simple(
        self,
        target: "Target",  # noqa: ARG002
        reference: str,  # noqa: ARG002
        annotations: Mapping[str, str],  # noqa: ARG002
    ) -> "SimpleSignature":
        raise BadUsage("without a key there are only bundles", "leave --format legacy out")

    def envelope(self, statement: bytes) -> tuple[bytes, Mapping[str, str]]:  # noqa: ARG002
        raise BadUsage("without a key there are only bundles", "leave --format legacy out")

    def bundle(self, statement: bytes) -> bytes:
        from datetime import UTC, datetime

        from retinue.attest.keyless import sign_keyless

        return sign_keyless(statement, self.token, self.services, datetime.now(UTC))

    def trust(self, bundle: bytes) -> "Trust":
        from retinue.attest.anchors import KeylessAnchor, Trust
        from retinue.attest.certificate import load_certificate
        from retinue.attest.certificates import identity
        from retinue.attest.formats.bundle import read_bundle

        leaf = load_certificate(read_bundle(bundle).certificates[0], "certificate")
        who = identity(leaf)
        anchor = KeylessAnchor("signer", self.services.root, who.issuer, who.san)
        return Trust((anchor,), roots=(self.services.root,))


def hand(args: argparse.Namespace) -> Hand:
    """Who signs, by the options; offers to make a key where nobody is named."""
    from retinue.attest.keys.table import open_signer

    find = passwords.password(args)
    if args.key is not None:
        if args.identity_token:
            raise BadUsage("--key and --identity-token exclude each other", "choose one")
        asked = witnesses(args)
        by = KeyHand(open_signer(args.key, find))
        return by if asked is None else WitnessedHand(by, asked)
    if args.timestamp_server_url or args.rekor_url:
        raise BadUsage(
            "--timestamp-server-url and --rekor-url are for signatures by a --key",
            "without one, --signing-config names the services",
        )
    services = _services(args)
    if args.identity_token or services is not None:
        return _token_hand(args, services)
    there = [name for name in USUAL_KEYS if Path(name).exists()]
    if there:
        raise BadUsage("no key was named", f"give --key {there[0]}")
    if not sys.stdin.isatty():
        raise BadUsage("no key was named", "give --key, or make one: retinue key generate")
    new = passwords.password(args, confirm=True)
    return KeyHand(open_signer(_make(new), new))


def _services(args: argparse.Namespace) -> "Services | None":
    """Where to sign without a key, as the options say."""
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    if args.trust_config is not None:
        from retinue.attest.services import read_client_config

        return read_client_config(read_file(args.trust_config, MAX_FILE), now)
    if args.signing_config is None:
        return None
    if args.trusted_root is None:
        raise BadUsage("--signing-config needs --trusted-root", "give both, or --trust-config")
    from retinue.attest.root import read_root
    from retinue.attest.services import read_signing_config

    return read_signing_config(
        read_file(args.signing_config, MAX_FILE),
        read_root(read_file(args.trusted_root, MAX_FILE)),
        now,
    )


def _token_hand(args: argparse.Namespace, services: "Services | None") -> TokenHand:
    from datetime import UTC, datetime

    from retinue.attest.keyless import ambient_token, interactive_token, public_services

    found = services if services is not None else public_services(datetime.now(UTC))
    token = _token(args.identity_token) or ambient_token()
    if token is None:
        if not sys.stdin.isatty():
            raise BadUsage("no identity token", f"give --identity-token FILE, or set ${TOKEN}")
        token = interactive_token(found.issuer)
    return TokenHand(token, found)


def _token(path: str | None) -> str | None:
    """The token in a file or in the environment: an argument would be seen by others."""
    if path == "-":
        return sys.stdin.read(MAX_FILE).strip()
    if path is not None:
        return read_file(Path(path), MAX_FILE).decode().strip()
    return os.environ.get(TOKEN) or None


def _make(password: Callable[[], bytes]) -> str:
    """A new key pair in this folder, if the user wants one; returns the private key's path."""
    from retinue.attest.keys.generate import generate
    from retinue.cli.key.files import write_pair

    sys.stderr.write("There is no key. Make one here, retinue.key and retinue.pub? [Y/n] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"", "y", "yes"}:
        raise BadUsage("no key was named", "give --key, or make one: retinue key generate")
    pair = generate("p256", password())
    private, _ = write_pair("retinue", pair.private, pair.public)
    return private
