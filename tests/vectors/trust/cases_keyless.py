"""What a development stack of ours vouched for: identities, logs and times, as cosign writes them."""

import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from devstacks import token
from vectors.trust.cases import Facts, case
from vectors.trust.kit import Kit, attested, fact

from retinue.devstack.server import Server

WHO = "dev@example.test"
LOGS = {2: ("signing_config.v0.2.json", ["rfc3161"]), 1: ("signing_config.rekor-v1.json", ["rfc3161", "tlog"])}
SBOM = ("--type", "cyclonedx", "--predicate", "predicates/cyclonedx")


class Stacks:
    """The one that runs while cases are made; `make` sets it."""

    running: Server


def _trusting(kit: Kit, *keys: str) -> tuple[str, ...]:
    """The case trusts the stack's root, and its one identity besides `keys`."""
    folder = Stacks.running.state.folder.path
    kit.keys = keys
    kit.extra["trusted_root"] = json.loads((folder / "trusted_root.json").read_text())
    kit.extra["identity"] = {"issuer": Stacks.running.url, "san": WHO}
    (kit.home / "trusted_root.json").write_bytes((folder / "trusted_root.json").read_bytes())
    return ("--trusted-root", "trusted_root.json")


def _config(kit: Kit, name: str) -> tuple[str, ...]:
    folder = Stacks.running.state.folder.path
    (kit.home / "config.json").write_bytes((folder / name).read_bytes())
    return ("--signing-config", "config.json")


def _token(kit: Kit) -> tuple[str, ...]:
    return ("--identity-token", kit.file("token", token(Stacks.running, WHO).encode()))


def by_cosign_3(log: int) -> None:
    config, clocks = LOGS[log]
    proven: dict[str, Any] = {"by": "identity", "logged": True, "clocks": clocks}

    @case(f"keyless-bundle-rekor{log}", f"cosign 3 signs and attests without a key, log version {log}")
    def keyless(kit: Kit) -> Facts:
        flags = ("--yes", *_trusting(kit), *_config(kit, config), *_token(kit))
        kit.run("cosign3", "sign", *flags, kit.image_at())
        kit.run("cosign3", "attest", *flags, *SBOM, kit.image_at())
        return [fact("bundle", **proven), attested("bundle", "cyclonedx", **proven)]

    @case(f"logged-bundle-rekor{log}", f"cosign 3 signs and attests with a key and a log of version {log}")
    def logged(kit: Kit) -> Facts:
        flags = ("--yes", "--key", "p256.key", *_trusting(kit, "p256"), *_config(kit, config))
        kit.run("cosign3", "sign", *flags, kit.image_at())
        kit.run("cosign3", "attest", *flags, *SBOM, kit.image_at())
        of_key = proven | {"by": "p256"}
        return [fact("bundle", **of_key), attested("bundle", "cyclonedx", **of_key)]


by_cosign_3(1)
by_cosign_3(2)


def _cosign_2(kit: Kit) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Flags and environment: addresses, keys and roots."""
    url = Stacks.running.url
    flags = ("--yes", "--fulcio-url", url, "--rekor-url", url,
             "--timestamp-server-url", f"{url}/api/v1/timestamp")  # fmt: skip
    return flags, {name: kit.file(name, raw) for name, raw in _pinned().items()}


def _pinned() -> Mapping[str, bytes]:
    state, form = Stacks.running.state, (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    times = (state.time, state.time_root)
    return {
        "SIGSTORE_ROOT_FILE": "".join(Stacks.running.stack.authority.chain()).encode(),
        "SIGSTORE_REKOR_PUBLIC_KEY": state.log_1.public_key().public_bytes(*form),
        "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE": state.ct_log.public_key().public_bytes(*form),
        "SIGSTORE_TSA_CERTIFICATE_FILE": b"".join(m.certificate.public_bytes(Encoding.PEM) for m in times),
    }


def by_cosign_2(name: str, about: str, *keys: str) -> None:
    proven: dict[str, Any] = {"by": keys[0] if keys else "identity", "logged": True, "clocks": LOGS[1][1]}

    @case(f"{name}-legacy", f"cosign 2 signs and attests {about}: log entries and times as annotations")
    def legacy(kit: Kit) -> Facts:
        _trusting(kit, *keys)
        flags, env = _cosign_2(kit)
        who = ("--key", "p256.key") if keys else _token(kit)
        kit.run("cosign2", "sign", *flags, *who, kit.image_at(), env=env)
        for kind in ("dsse", "intoto"):
            what = ("--rekor-entry-type", kind, "--type", "cyclonedx", "--predicate", "predicates/cyclonedx")
            kit.run("cosign2", "attest", *flags, *who, *what, kit.image_at(), env=env)
        if keys:
            kit.extra["signatures"] = 2
        of_both = [attested("legacy", "cyclonedx", **proven) for _ in range(2)]
        return [fact("legacy", **proven), *of_both]


by_cosign_2("keyless", "without a key")
by_cosign_2("logged", "with a key", "p256")


@case("keyless-stranger", "cosign 3 signs as somebody whom nobody trusts")
def keyless_stranger(kit: Kit) -> Facts:
    root = _trusting(kit)
    stranger = kit.file("token", token(Stacks.running, "eve@example.test").encode())
    flags = ("--yes", *root, *_config(kit, LOGS[2][0]), "--identity-token", stranger)
    kit.run("cosign3", "sign", *flags, kit.image_at())
    return [fact("bundle", by=None)]

