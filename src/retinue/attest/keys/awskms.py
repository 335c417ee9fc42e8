"""Keys of AWS KMS: `awskms://[ENDPOINT]/[ID|alias/NAME|ARN]`, as cosign names them.

Credentials and region come from where boto3 finds them; a region within an ARN counts first.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from retinue.attest.errors import KeyUnusable, SignerFailed
from retinue.attest.keys import remote
from retinue.attest.keys.key import Algorithm, PublicKey, Signer
from retinue.attest.keys.public import wrap
from retinue.attest.keys.remote import RemoteSigner

SCHEME = "awskms://"
_ID = r"(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_ARN = r"arn:(?:aws|aws-us-gov|aws-cn|aws-iso(?:-[a-z])?):kms:(?P<region>[a-z0-9-]+):\d{12}:"
_REFERENCE = re.compile(
    rf"awskms://(?P<endpoint>[^/]*)/(?P<key>(?:{_ARN})?(?:(?:key/)?{_ID}|alias/[\w/-]+))"
)
_NAMES: Mapping[Algorithm, str] = {
    Algorithm.ECDSA_P256_SHA256: "ECDSA_SHA_256",
    Algorithm.ECDSA_P384_SHA384: "ECDSA_SHA_384",
    Algorithm.ECDSA_P521_SHA512: "ECDSA_SHA_512",
    Algorithm.RSA_PKCS1_SHA256: "RSASSA_PKCS1_V1_5_SHA_256",
    Algorithm.RSA_PSS_SHA256: "RSASSA_PSS_SHA_256",
    Algorithm.RSA_PSS_SHA384: "RSASSA_PSS_SHA_384",
    Algorithm.RSA_PSS_SHA512: "RSASSA_PSS_SHA_512",
}


def open_signer(reference: str, password: Callable[[], bytes] | None) -> Signer:  # noqa: ARG001
    """Raises KeyUnusable, SignerFailed."""
    client, key = _open(reference)
    public = _public(reference, client, key)
    algorithm, offered = remote.algorithms(public)
    if algorithm not in _NAMES:
        raise KeyUnusable(reference, f"signs with {algorithm}; use P-256, P-384, P-521 or RSA")

    def send(algorithm: Algorithm, data: bytes) -> bytes:
        answer = _call(
            reference,
            client.sign,
            KeyId=key,
            Message=data,
            MessageType="DIGEST",
            SigningAlgorithm=_NAMES[algorithm],
        )
        return bytes(answer["Signature"])

    return RemoteSigner(reference, public, algorithm, offered, send)


def open_public(reference: str) -> PublicKey:
    client, key = _open(reference)
    return _public(reference, client, key)


def _open(reference: str) -> tuple[Any, str]:
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise KeyUnusable(reference, f"must be {SCHEME}[ENDPOINT]/ID, alias/NAME or an ARN")
    boto3 = remote.library(reference, "kms", "boto3")
    configuration = remote.library(reference, "kms", "botocore.config")
    config = configuration.Config(
        connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 3}
    )
    endpoint = found["endpoint"]
    client = _call(
        reference,
        boto3.client,
        service_name="kms",
        region_name=found["region"],
        endpoint_url=f"https://{endpoint}" if endpoint else None,
        config=config,
    )
    return client, found["key"]


def _public(reference: str, client: Any, key: str) -> PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    answer = _call(reference, client.get_public_key, KeyId=key)
    if answer.get("KeyUsage") != "SIGN_VERIFY":
        raise KeyUnusable(reference, f"is for {answer.get('KeyUsage')!r}, not for signatures")
    try:
        return wrap(load_der_public_key(answer["PublicKey"]), reference)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyUnusable(reference, "has a public key of no known kind") from None


def _call(reference: str, ask: Callable[..., Any], **arguments: Any) -> Any:
    failures = remote.library(reference, "kms", "botocore.exceptions")
    try:
        return ask(**arguments)
    except (failures.BotoCoreError, failures.ClientError) as error:
        raise SignerFailed(reference, str(error)[:400]) from None
