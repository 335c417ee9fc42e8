"""The encrypted private keys of cosign and The Update Framework's Go tools.

PEM `ENCRYPTED SIGSTORE PRIVATE KEY` (before: `ENCRYPTED COSIGN PRIVATE KEY`) around JSON: scrypt makes
a key of the password, NaCl's secretbox seals PKCS #8. Same bounds on scrypt's cost as Go's reader.
"""

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from retinue import strictjson
from retinue.attest.base64 import InvalidBase64, decode
from retinue.attest.errors import KeyUnusable, WrongPassword

LABELS = ("ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY")
COSTS = frozenset({32768, 65536, 131072})
COST = 65536
BLOCK, PARALLEL = 8, 1
MEMORY = 256 * 1024 * 1024
SALT, NONCE = 32, 24


def unseal(sealed: bytes, password: bytes, reference: str) -> bytes:
    """PKCS #8 in DER from the JSON inside of the PEM; raises WrongPassword, KeyUnusable."""
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    try:
        document = strictjson.loads(sealed)
        kdf, cipher = document["kdf"], document["cipher"]
        _known(kdf, cipher, reference)
        salt, nonce = decode(kdf["salt"]), decode(cipher["nonce"])
        ciphertext = decode(document["ciphertext"])
    except (strictjson.InvalidJson, InvalidBase64, KeyError, TypeError):
        raise KeyUnusable(reference, "is damaged: not the JSON of an encrypted key") from None
    if len(nonce) != NONCE:
        raise KeyUnusable(reference, f"is damaged: a nonce of {len(nonce)} bytes, not {NONCE}")
    box = SecretBox(_stretch(password, salt, kdf["params"]["N"]))
    try:
        return box.decrypt(ciphertext, nonce)
    except (CryptoError, ValueError):
        raise WrongPassword(reference, "the password does not open it") from None


def _known(kdf: dict[str, Any], cipher: dict[str, Any], reference: str) -> None:
    if kdf["name"] != "scrypt" or cipher["name"] != "nacl/secretbox":
        reason = f"is sealed by {kdf['name']!r} and {cipher['name']!r}; only scrypt and nacl/secretbox are known"
        raise KeyUnusable(reference, reason)
    params = kdf["params"]
    if params["N"] not in COSTS or params["r"] != BLOCK or params["p"] != PARALLEL:
        reason = f"asks for scrypt with {params}; N of 32768 to 131072, r=8 and p=1 are accepted"
        raise KeyUnusable(reference, reason)


def _stretch(password: bytes, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=cost, r=BLOCK, p=PARALLEL, dklen=32, maxmem=MEMORY)


def seal(der: bytes, password: bytes, randomness: Callable[[int], bytes] = os.urandom) -> bytes:
    """PEM that cosign reads, of PKCS #8 in DER. An empty password is legal, and no protection."""
    from nacl.secret import SecretBox

    salt, nonce = randomness(SALT), randomness(NONCE)
    box = SecretBox(_stretch(password, salt, COST))
    document = {
        "kdf": {
            "name": "scrypt",
            "params": {"N": COST, "r": BLOCK, "p": PARALLEL},
            "salt": b64encode(salt).decode(),
        },
        "cipher": {"name": "nacl/secretbox", "nonce": b64encode(nonce).decode()},
        "ciphertext": b64encode(box.encrypt(der, nonce).ciphertext).decode(),
    }
    text = b64encode(json.dumps(document, separators=(",", ":")).encode())
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    begin, end = f"-----BEGIN {LABELS[0]}-----", f"-----END {LABELS[0]}-----"
    return b"\n".join((begin.encode(), *lines, end.encode(), b""))
