"""All services behind one address: what is asked for, and what is answered. No sockets here."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from retinue.devstack import documents
from retinue.devstack.authority import Authority
from retinue.devstack.errors import NotGiven
from retinue.devstack.logs import Log1, Log2
from retinue.devstack.stamps import stamp
from retinue.devstack.state import State
from retinue.devstack.tokens import Issuer
from retinue.strictjson import InvalidJson, loads

MAX_BODY = 64 * 1024 * 1024

_ENTRY = "/api/v1/log/entries/"
_JSON = "application/json"
_PEM = "application/pem-certificate-chain"
_STAMP = "application/timestamp-reply"


class Asked(Struct, frozen=True):
    """A request. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = {}
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path.rstrip("/") or "/"

    def query(self, name: str) -> str:
        return parse_qs(urlsplit(self.target).query).get(name, [""])[0]

    def json(self) -> Mapping[str, Any]:
        try:
            value = loads(self.body, max_bytes=MAX_BODY)
        except InvalidJson as error:
            raise NotGiven(400, str(error)) from None
        if not isinstance(value, dict):
            raise NotGiven(400, "a JSON object is needed")
        return value

    def form(self) -> Mapping[str, str]:
        """The fields of a form, or of a JSON object."""
        if self.headers.get("content-type", "").startswith(_JSON):
            return {k: v for k, v in self.json().items() if isinstance(v, str)}
        return {k: v[-1] for k, v in parse_qs(self.body.decode("utf-8", "replace")).items()}


class Answer(Struct, frozen=True):
    status: int
    body: bytes
    type: str = _JSON
    headers: Mapping[str, str] = {}


class Stack:
    """The services of one `state` at `url`. `clock` tells their time; safe for several threads."""

    def __init__(self, state: State, url: str, clock: Callable[[], datetime]) -> None:
        host = urlsplit(url).hostname or "localhost"
        self.url = url
        self.issuer = Issuer(url, state.tokens)
        self.authority = Authority(state, self.issuer)
        self.logs = Log1(state, host), Log2(state, host)
        self._state = state
        self._clock = clock
        self._lock = Lock()

    def close(self) -> None:
        self._state.folder.close()

    def documents(self) -> Mapping[str, Mapping[str, Any]]:
        """By file name."""
        root = documents.trusted_root(self._state, self.url, self.logs)
        newest = documents.signing_config(self._state, self.url, (1, 2))
        oldest = documents.signing_config(self._state, self.url, (1,))
        return {
            "trusted_root.json": root,
            "signing_config.v0.2.json": newest,
            "signing_config.rekor-v1.json": oldest,
            "client_trust_config.json": documents.client_config(root, newest),
        }

    def answer(self, asked: Asked) -> Answer:
        """Never raises: what is not given is an answer, too."""
        try:
            return self._route(asked)
        except NotGiven as error:
            headers = {"Location": error.location} if error.location else {}
            body = {"code": error.status, "message": error.reason}
            return Answer(error.status, _encode(body), headers=headers)

    def _route(self, asked: Asked) -> Answer:
        service = _ROUTES.get((asked.method, asked.path))
        if service is None and asked.method == "GET" and asked.path.startswith(_ENTRY):
            service = Stack.entry
        if service is None:
            raise NotGiven(404, f"there is nothing for {asked.method} {asked.path[:100]}")
        with self._lock:
            return service(self, asked)

    def login(self, asked: Asked) -> Answer:
        found = parse_qs(urlsplit(asked.target).query)
        place = self.issuer.login({name: v[0] for name, v in found.items()}, self._clock())
        return Answer(302, b"", headers={"Location": place})

    def mint(self, asked: Asked) -> Answer:
        fields = dict(asked.form())
        if fields.get("grant_type") == "authorization_code":
            return _json(self.issuer.exchange(fields.get("code", ""), self._clock()))
        subject = fields.pop("subject", "") or fields.pop("email", "")
        token = self.issuer.mint(subject, fields, self._clock())
        return Answer(200, token.encode(), "text/plain")

    def certify(self, asked: Asked) -> Answer:
        chain = {"certificates": self._issue(asked)}
        return _json({"signedCertificateEmbeddedSct": {"chain": chain}})

    def certify_1(self, asked: Asked) -> Answer:
        return Answer(201, "".join(self._issue(asked)).encode(), _PEM)

    def _issue(self, asked: Asked) -> list[str]:
        scheme, _, bearer = asked.headers.get("authorization", "").partition(" ")
        token = bearer if scheme.lower() == "bearer" else ""
        return self.authority.issue(asked.json(), token, self._clock())

    def bundle(self, _: Asked) -> Answer:
        return _json({"chains": [{"certificates": self.authority.chain()}]})

    def root_1(self, _: Asked) -> Answer:
        return Answer(200, "".join(self.authority.chain()).encode(), _PEM)

    def configuration(self, _: Asked) -> Answer:
        issuer = {"issuerUrl": self.url, "audience": "sigstore", "challengeClaim": "email"}
        return _json({"issuers": [issuer]})

    def discovery(self, _: Asked) -> Answer:
        return _json(self.issuer.discovery())

    def keys(self, _: Asked) -> Answer:
        return _json(self.issuer.keys())

    def log(self, asked: Asked) -> Answer:
        name, entry = self.logs[0].add(asked.json(), self._clock())
        place = {"ETag": name, "Location": f"/api/v1/log/entries/{name}"}
        return Answer(201, _encode(entry), headers=place)

    def entry(self, asked: Asked) -> Answer:
        return _json(self.logs[0].get(asked.path.removeprefix(_ENTRY)))

    def logged(self, asked: Asked) -> Answer:
        return _json(self.logs[0].at(asked.query("logIndex")))

    def retrieve(self, asked: Asked) -> Answer:
        wanted = asked.json()
        names, indexes = wanted.get("entryUUIDs") or [], wanted.get("logIndexes") or []
        log = self.logs[0]
        found = [*(log.get(str(n)) for n in names), *(log.at(str(i)) for i in indexes)]
        found += [log.known(proposed) for proposed in wanted.get("entries") or []]
        return Answer(200, json.dumps(found).encode())

    def head(self, _: Asked) -> Answer:
        return _json(self.logs[0].head())

    def log_key(self, _: Asked) -> Answer:
        return Answer(200, self.logs[0].public_key(), "application/x-pem-file")

    def log_2(self, asked: Asked) -> Answer:
        return Answer(201, _encode(self.logs[1].add(asked.json(), self._clock())))

    def stamp(self, asked: Asked) -> Answer:
        return Answer(201, stamp(self._state, asked.body, self._clock()), _STAMP)

    def stamp_chain(self, _: Asked) -> Answer:
        from cryptography.hazmat.primitives.serialization import Encoding

        members = (self._state.time, self._state.time_root)
        pem = b"".join(m.certificate.public_bytes(Encoding.PEM) for m in members)
        return Answer(200, pem, _PEM)


def _json(value: Mapping[str, Any]) -> Answer:
    return Answer(200, _encode(value))


def _encode(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()


_ROUTES: Mapping[tuple[str, str], Callable[[Stack, Asked], Answer]] = {
    ("GET", "/.well-known/openid-configuration"): Stack.discovery,
    ("GET", "/keys"): Stack.keys,
    ("GET", "/auth"): Stack.login,
    ("POST", "/token"): Stack.mint,
    ("POST", "/api/v2/signingCert"): Stack.certify,
    ("GET", "/api/v2/trustBundle"): Stack.bundle,
    ("GET", "/api/v2/configuration"): Stack.configuration,
    ("POST", "/api/v1/signingCert"): Stack.certify_1,
    ("GET", "/api/v1/rootCert"): Stack.root_1,
    ("POST", "/api/v1/log/entries"): Stack.log,
    ("GET", "/api/v1/log/entries"): Stack.logged,
    ("POST", "/api/v1/log/entries/retrieve"): Stack.retrieve,
    ("GET", "/api/v1/log"): Stack.head,
    ("GET", "/api/v1/log/publicKey"): Stack.log_key,
    ("POST", "/api/v2/log/entries"): Stack.log_2,
    ("POST", "/api/v1/timestamp"): Stack.stamp,
    ("GET", "/api/v1/timestamp/certchain"): Stack.stamp_chain,
}
