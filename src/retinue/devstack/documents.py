"""What clients need to know of the stack: whom to trust, and where to ask.

https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from retinue.devstack.logs import Log1, Log2
from retinue.devstack.state import Member, State

Json = Mapping[str, Any]

ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
SIGNING = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
CLIENT = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"


def trusted_root(state: State, url: str, logs: tuple[Log1, Log2]) -> Json:
    since = {"start": _since(state)}
    first, second = logs
    return {
        "mediaType": ROOT,
        "tlogs": [
            _log(url, state.log_1.public_key(), first.log_id, since),
            _log(url, state.log_2.public_key(), second.log_id, since),
        ],
        "certificateAuthorities": [_authority(url, (state.issuer, state.root), since)],
        "ctlogs": [_ct_log(state, url, since)],
        "timestampAuthorities": [_authority(f"{url}/api/v1/timestamp", (state.time, state.time_root), since)],
    }  # fmt: skip


def signing_config(state: State, url: str, versions: Sequence[int]) -> Json:
    """`versions`: the major versions of logs to write to; clients take the highest they know."""

    def service(path: str, version: int) -> Json:
        start = {"start": _since(state)}
        return {
            "url": f"{url}{path}",
            "majorApiVersion": version,
            "validFor": start,
            "operator": "retinue-dev-stack",
        }

    return {
        "mediaType": SIGNING,
        "caUrls": [service("", 1)],
        "oidcUrls": [service("", 1)],
        "rekorTlogUrls": [service("", version) for version in versions],
        "tsaUrls": [service("/api/v1/timestamp", 1)],
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaConfig": {"selector": "ANY"},
    }


def client_config(root: Json, signing: Json) -> Json:
    return {"mediaType": CLIENT, "trustedRoot": root, "signingConfig": signing}


def _since(state: State) -> str:
    return state.since.strftime("%Y-%m-%dT%H:%M:%SZ")


def _ct_log(state: State, url: str, since: Json) -> Json:
    from hashlib import sha256

    key = state.ct_log.public_key()
    log_id = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return _log(f"{url}/ct", key, log_id, since)


def _log(
    url: str,
    key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey,
    log_id: bytes,
    since: Json,
) -> Json:
    ed = isinstance(key, ed25519.Ed25519PublicKey)
    raw = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": b64encode(raw).decode(),
            "keyDetails": "PKIX_ED25519" if ed else "PKIX_ECDSA_P256_SHA_256",
            "validFor": since,
        },
        "logId": {"keyId": b64encode(log_id).decode()},
    }


def _authority(url: str, chain: Sequence[Member], since: Json) -> Json:
    raw = [m.certificate.public_bytes(Encoding.DER) for m in chain]
    return {
        "subject": {"organization": "retinue dev stack", "commonName": "retinue dev"},
        "uri": url,
        "certChain": {"certificates": [{"rawBytes": b64encode(r).decode()} for r in raw]},
        "validFor": since,
    }
