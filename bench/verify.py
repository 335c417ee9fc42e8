"""How long it takes to verify one signature in the library: `python -m bench.verify`.

Warm, without I/O: bundles as cosign 3 writes them, by a key, without a log. For comparison the bare
check of the signature by `cryptography`, which no verification can undercut. Medians of rounds that
take turns, so that whatever else the machine does meets all of them.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from time import process_time

from retinue.attest.anchors import AnchorKey, KeyAnchor, Trust
from retinue.attest.formats import dsse
from retinue.attest.formats.bundle import read_bundle
from retinue.attest.keys.generate import generate
from retinue.attest.keys.key import Signer
from retinue.attest.keys.pem import load_private
from retinue.attest.sign import sign_simple, sign_statement, signature_statement
from retinue.attest.target import Target
from retinue.attest.verify import verify_bundle, verify_simple
from retinue.oci import digest as digests
from retinue.oci import names

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}'
KINDS = ("p256", "p384", "rsa2048", "ed25519")

Work = Callable[[], object]


def signer(kind: str) -> Signer:
    return load_private(generate(kind).private, lambda: b"", kind)


def trust(*signers: Signer) -> Trust:
    return Trust(tuple(KeyAnchor(str(n), (AnchorKey(s.public),)) for n, s in enumerate(signers)))


def works() -> Mapping[str, Work]:
    target = Target(digests.of(MANIFEST), names.OCI_MANIFEST, MANIFEST)
    statement = signature_statement(target.digest, {"env": "prod"})
    made = {kind: signer(kind) for kind in KINDS}
    found: dict[str, Work] = {}
    for kind, key in made.items():
        bundle = sign_statement(statement, key)
        envelope = read_bundle(bundle).envelope
        assert envelope is not None
        bare = partial(_bare, key, envelope)
        found |= {
            f"{kind}: bundle": partial(verify_bundle, bundle, target, trust(key)),
            f"{kind}: signature alone": bare,
        }
    first = made["p256"]
    simple = sign_simple(target, "registry.example/app", {}, first)
    found["p256: simple signing"] = partial(
        verify_simple, simple.payload, simple.annotations, target, trust(first)
    )
    several = trust(*(signer("p256") for _ in range(9)), first)
    raw = sign_statement(statement, first)
    found["p256: bundle, the hint finds its key among ten"] = partial(
        verify_bundle, raw, target, several
    )
    return found


def _bare(key: Signer, envelope: dsse.Envelope) -> bool:
    return key.public.verify(envelope.signatures[0], dsse.signed(envelope))


def measure(work: Work, times: int) -> float:
    start = process_time()
    for _ in range(times):
        work()
    return (process_time() - start) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--times", type=int, default=50, help="calls in each round")
    args = parser.parse_args()
    found = works()
    taken: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(args.rounds):
        for name, work in found.items():
            taken[name].append(measure(work, args.times))
    print(f"{'microseconds each':50} {'median':>8} {'least':>8}")
    for name, seconds in taken.items():
        print(f"{name:50} {median(seconds) * 1e6:8.0f} {min(seconds) * 1e6:8.0f}")


if __name__ == "__main__":
    main()
