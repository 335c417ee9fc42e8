"""An OpenID Connect issuer that believes whoever asks: discovery, keys, and tokens (RFC 7519)."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from msgspec import Struct

from retinue.devstack.errors import NotGiven
from retinue.strictjson import InvalidJson, loads

AUDIENCE = "sigstore"
SECONDS = 600
SOMEBODY = "dev@example.test"
"""Who logs in without saying who he is."""

_KEY_ID = "dev-1"
_MAX = 16384
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ALGORITHM = "RS256"  # cosign takes no other for a token on its command line


class Issuer(Struct, frozen=True):
    """`url` is what tokens name as their issuer, and where its documents are."""

    url: str
    key: rsa.RSAPrivateKey

    def mint(self, subject: str, claims: Mapping[str, str], now: datetime) -> str:
        """A token for `subject`: an e-mail address, an URI, or a plain name."""
        if not subject:
            raise NotGiven(400, "say who you are: subject=you@example.test")
        seconds = int(now.timestamp())
        who: dict[str, Any] = {"sub": subject}
        if is_address(subject):
            who |= {"email": subject, "email_verified": True}
        times = {"iat": seconds, "nbf": seconds, "exp": seconds + SECONDS}
        payload = {**claims, **who, "iss": self.url, "aud": AUDIENCE, **times}
        header = {"alg": _ALGORITHM, "typ": "JWT", "kid": _KEY_ID}
        signed = b".".join(map(_part, (header, payload)))
        signature = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return (signed + b"." + _encode(signature)).decode()

    def login(self, asked: Mapping[str, str], now: datetime) -> str:
        """Where the browser goes next (RFC 6749 4.1.2): everyone is let in, as whom he says he is.

        The code is the token already; only programs on loopback get one.
        """
        target = asked.get("redirect_uri", "")
        if not is_local(target) or not asked.get("state"):
            raise NotGiven(400, "a redirect_uri on loopback and a state are needed")
        nonce = {"nonce": asked["nonce"]} if asked.get("nonce") else {}
        code = self.mint(asked.get("login_hint") or SOMEBODY, nonce, now)
        mark = "&" if "?" in target else "?"
        return f"{target}{mark}{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, code: str, now: datetime) -> Mapping[str, Any]:
        """A token response (OpenID Connect Core 3.1.3.3); Sigstore's clients take either token."""
        self.read(code, now)
        shared = {"token_type": "Bearer", "expires_in": SECONDS}
        return {**shared, "access_token": code, "id_token": code}

    def read(self, token: str, now: datetime) -> Mapping[str, Any]:
        """The claims of a token that this issuer minted and that is not over. Raises NotGiven."""
        signed, _, tail = token.rpartition(".")
        header, _, payload = signed.partition(".")
        if len(token) > _MAX or not self._signed(signed, tail):
            raise NotGiven(401, "the identity token is not signed by this issuer")
        claims = _claims(payload)
        if _claims(header).get("alg") != _ALGORITHM or claims.get("aud") != AUDIENCE:
            raise NotGiven(401, f"the identity token is not for the audience {AUDIENCE}")
        if claims.get("iss") != self.url or not isinstance(claims.get("sub"), str):
            raise NotGiven(401, f"the identity token is not of the issuer {self.url}")
        if not claims["nbf"] <= now.timestamp() < claims["exp"]:
            raise NotGiven(401, "the identity token is over: mint a new one")
        return claims

    def _signed(self, signed: str, tail: str) -> bool:
        public = self.key.public_key()
        try:
            public.verify(_decode(tail), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def discovery(self) -> Mapping[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/auth",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [_ALGORITHM],
            "claims_supported": ["sub", "aud", "exp", "iat", "iss", "email", "email_verified"],
        }

    def keys(self) -> Mapping[str, Any]:
        numbers = self.key.public_key().public_numbers()
        key = {"kty": "RSA", "alg": _ALGORITHM, "use": "sig", "kid": _KEY_ID}
        return {"keys": [{**key, "n": _number(numbers.n), "e": _number(numbers.e)}]}


def _number(value: int) -> str:
    return _encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()


def is_local(url: str) -> bool:
    """Whether a browser may be sent there: plain HTTP on loopback."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme == "http" and not parts.fragment and host in _LOOPBACK


def is_address(subject: str) -> bool:
    return "@" in subject and "://" not in subject


def _part(value: Mapping[str, Any]) -> bytes:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def _encode(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def _decode(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise NotGiven(401, "the identity token is malformed") from None


def _claims(part: str) -> Mapping[str, Any]:
    try:
        claims = loads(_decode(part))
    except InvalidJson as error:
        raise NotGiven(401, f"the identity token is malformed: {error}") from None
    if not isinstance(claims, dict):
        raise NotGiven(401, "the identity token is malformed")
    return claims
