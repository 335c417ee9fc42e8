"""`retinue dev-stack`: a signing infrastructure of your own, for development and tests.

An OpenID issuer, a certificate authority (Fulcio), transparency logs (Rekor, both
versions) and a timestamp authority on one loopback address. Keys and logs stay in
--folder, next to the files that clients need: trusted_root.json,
signing_config.v0.2.json, client_trust_config.json. It gives any identity to whoever
asks; trust it with nothing.

  retinue dev-stack --listen 127.0.0.1:5555 --folder dev-stack
"""

import argparse
import signal
from datetime import UTC, datetime
from pathlib import Path

from retinue.cli.output import say
from retinue.cli.problems import BadUsage


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:5555",
        help="where; loopback only, port 0 takes a free one [127.0.0.1:5555]",
    )
    parser.add_argument(
        "--folder",
        metavar="DIR",
        type=Path,
        default=Path("dev-stack"),
        help="where keys, logs and the files for clients are [dev-stack]",
    )


def run(args: argparse.Namespace) -> int:
    from retinue.devstack.server import Server

    host, port = _address(args.listen)
    server = Server(args.folder, host, port, lambda: datetime.now(UTC))
    for stop in (signal.SIGINT, signal.SIGTERM):  # a script's `&` has SIGINT ignored
        signal.signal(stop, signal.default_int_handler)
    try:
        say(described(server.url, args.folder))
        server.run()
    except KeyboardInterrupt:
        return 0
    finally:
        server.close()
    return 0


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise BadUsage(f"--listen {text} is no address", "give HOST:PORT, such as 127.0.0.1:5555")
    return host.strip("[]"), int(port)


def described(url: str, folder: Path) -> str:
    """How to use the stack with cosign and retinue."""
    root, signing = folder / "trusted_root.json", folder / "signing_config.v0.2.json"
    return f"""The development stack is at {url}; what clients need is in {folder}.

A token for any identity:
  TOKEN=$(curl -s -d subject=dev@example.test {url}/token)

With cosign 3:
  cosign sign --yes --identity-token $TOKEN --signing-config {signing} \\
    --trusted-root {root} IMAGE
  cosign verify --trusted-root {root} --certificate-oidc-issuer {url} \\
    --certificate-identity dev@example.test IMAGE

With retinue:
  retinue verify --trusted-root {root} --certificate-oidc-issuer {url} \\
    --certificate-identity dev@example.test IMAGE

or as an anchor of a policy:
  [anchors.dev]
  type = "keyless"
  root = "{root}"
  issuer = "{url}"
  identity = "dev@example.test"
"""
