"""The stack's services by their HTTP interfaces, without sockets."""

import hashlib
import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keylesskit import NOW, STATEMENT, URL, WHO, Local, dev, local, stack_folder, stack_state
from retinue.attest.certificates import identity, verify_chain
from retinue.attest.checkpoint import check_signed, read_checkpoint
from retinue.attest.formats import dsse
from retinue.attest.logentry import read_body
from retinue.attest.tlog import read_entry
from retinue.devstack.errors import StateUnusable
from retinue.devstack.stack import Answer, Asked
from retinue.oci import names

__all__ = ["dev", "stack_folder", "stack_state"]

KEY = ec.generate_private_key(ec.SECP256R1())
SPKI = PublicFormat.SubjectPublicKeyInfo


def get(dev: Local, target: str) -> Answer:
    return dev.stack.answer(Asked("GET", target))


def post(dev: Local, target: str, body: Any, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return dev.stack.answer(Asked("POST", target, headers, raw))


def text(raw: bytes) -> str:
    return b64encode(raw).decode()


def key_request(dev: Local, key: Any, proof: bytes) -> dict[str, Any]:
    pem = key.public_key().public_bytes(Encoding.PEM, SPKI).decode()
    return {
        "credentials": {"oidcIdentityToken": dev.token()},
        "publicKeyRequest": {
            "publicKey": {"algorithm": "", "content": pem},
            "proofOfPossession": text(proof),
        },
    }


def prove(key: Any) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(WHO.encode())
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(WHO.encode(), padding.PKCS1v15(), hashes.SHA256())
    kind = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[key.curve.key_size]
    signed: bytes = key.sign(WHO.encode(), ec.ECDSA(kind))
    return signed


def leaf_of(answer: Answer) -> x509.Certificate:
    chain = json.loads(answer.body)["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    return x509.load_pem_x509_certificate(chain[0].encode())


@pytest.mark.parametrize(
    "key",
    [KEY, ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP521R1()),
     ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)],
    ids=["p256", "p384", "p521", "ed25519", "rsa"],
)  # fmt: skip
def test_a_key_gets_a_certificate_for_its_proof(dev: Local, key: Any) -> None:
    answer = post(dev, "/api/v2/signingCert", key_request(dev, key, prove(key)))

    leaf = leaf_of(answer)
    verify_chain(leaf, (), dev.root, NOW)
    assert (identity(leaf).san, leaf.public_key()) == (WHO, key.public_key())


def test_a_key_without_a_proof_gets_none(dev: Local) -> None:
    other = ec.generate_private_key(ec.SECP256R1())

    answer = post(dev, "/api/v2/signingCert", key_request(dev, KEY, prove(other)))

    assert (answer.status, b"possession" in answer.body) == (400, True)


def test_the_older_interface_answers_pem(dev: Local) -> None:
    content = KEY.public_key().public_bytes(Encoding.DER, SPKI)
    body = {"publicKey": {"content": text(content)}, "signedEmailAddress": text(prove(KEY)),
            "certificateSigningRequest": None}  # fmt: skip

    answer = post(dev, "/api/v1/signingCert", body, authorization=f"Bearer {dev.token()}")

    assert answer.status == 201
    assert identity(x509.load_pem_x509_certificates(answer.body)[0]).san == WHO


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", {}, {"certificateSigningRequest": "!"}, {"certificateSigningRequest": text(b"x")},
     {"publicKeyRequest": {"publicKey": {"content": "!"}, "proofOfPossession": ""}},
     {"publicKeyRequest": 5}],
    ids=range(7),
)  # fmt: skip
def test_a_request_that_cannot_be_read_is_refused(dev: Local, body: Any) -> None:
    answer = post(dev, "/api/v2/signingCert", body, authorization=f"Bearer {dev.token()}")

    assert answer.status == 400


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Basic x"}, {"authorization": "Bearer x"}]
)
def test_without_a_token_there_is_no_certificate(dev: Local, headers: dict[str, str]) -> None:
    assert post(dev, "/api/v2/signingCert", {}, **headers).status == 401


def test_the_chain_is_shown(dev: Local) -> None:
    (chain,) = json.loads(get(dev, "/api/v2/trustBundle").body)["chains"]

    assert chain["certificates"] == dev.stack.authority.chain()
    assert get(dev, "/api/v1/rootCert").body.decode() == "".join(chain["certificates"])
    assert json.loads(get(dev, "/api/v2/configuration").body)["issuers"][0]["issuerUrl"] == URL


def test_discovery_leads_to_the_keys(dev: Local) -> None:
    found = json.loads(get(dev, "/.well-known/openid-configuration").body)

    assert found["issuer"] == URL
    assert json.loads(get(dev, found["jwks_uri"].removeprefix(URL)).body)["keys"]


@pytest.mark.parametrize("form", ["json", "form"])
def test_a_token_is_minted_for_a_form_or_json(dev: Local, form: str) -> None:
    kind = "application/json" if form == "json" else "application/x-www-form-urlencoded"
    body = {"subject": WHO, "ref": "x"} if form == "json" else b"email=dev%40example.test&ref=x"

    token = post(dev, "/token", body, **{"content-type": kind}).body.decode()

    claims = dev.stack.issuer.read(token, NOW)
    assert (claims["sub"], claims["ref"]) == (WHO, "x")


def proposed(message: bytes = b"message") -> dict[str, Any]:
    signature = KEY.sign(message, ec.ECDSA(hashes.SHA256()))
    pem = KEY.public_key().public_bytes(Encoding.PEM, SPKI)
    value = hashlib.sha256(message).hexdigest()
    spec = {
        "data": {"hash": {"algorithm": "sha256", "value": value}},
        "signature": {"content": text(signature), "publicKey": {"content": text(pem)}},
    }
    return {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}


def test_an_entry_is_found_by_name_and_index(dev: Local) -> None:
    answer = post(dev, "/api/v1/log/entries", proposed())
    (name,) = json.loads(answer.body)
    index = json.loads(answer.body)[name]["logIndex"]

    by_name = json.loads(get(dev, answer.headers["Location"]).body)
    by_index = json.loads(get(dev, f"/api/v1/log/entries?logIndex={index}").body)
    both = post(dev, "/api/v1/log/entries/retrieve", {"entryUUIDs": [name], "logIndexes": [index]})

    assert (answer.status, answer.headers["ETag"]) == (201, name)
    assert by_name[name]["body"] == by_index[name]["body"]
    assert [list(found) for found in json.loads(both.body)] == [[name], [name]]


def test_the_same_entry_again_is_a_conflict_that_says_where(dev: Local) -> None:
    body = proposed(b"twice")
    first = post(dev, "/api/v1/log/entries", body)

    second = post(dev, "/api/v1/log/entries", body)

    assert (second.status, second.headers["Location"]) == (409, first.headers["Location"])


def test_the_head_is_signed(dev: Local) -> None:
    head = json.loads(get(dev, "/api/v1/log").body)

    checkpoint = read_checkpoint(head["signedTreeHead"])
    check_signed(checkpoint, dev.root.logs[0])
    assert (checkpoint.size, checkpoint.root.hex()) == (head["treeSize"], head["rootHash"])
    assert b"PUBLIC KEY" in get(dev, "/api/v1/log/publicKey").body


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "rpm"}, {"spec": {}}, {"spec": None}, {"apiVersion": "0.0.9"},
        {"spec": {"data": {"hash": {"value": "00" * 32}}, "signature": proposed()["spec"]["signature"]}},
    ],
    ids=range(5),
)  # fmt: skip
def test_an_entry_that_proves_nothing_is_refused(dev: Local, change: dict[str, Any]) -> None:
    assert post(dev, "/api/v1/log/entries", {**proposed(), **change}).status == 400


def envelope(key: Any) -> str:
    message = b"".join(dsse.pae(names.IN_TOTO, STATEMENT))
    signature = key.sign(message, *algorithm(key))
    return json.dumps(dsse.to_json(names.IN_TOTO, STATEMENT, signature))


def algorithm(key: Any) -> tuple[Any, ...]:
    if isinstance(key, rsa.RSAPrivateKey):
        return padding.PKCS1v15(), hashes.SHA256()
    return () if isinstance(key, ed25519.Ed25519PrivateKey) else (ec.ECDSA(hashes.SHA256()),)


def entry_of(kind: str, key: Any, pem: bytes) -> dict[str, Any]:
    if kind == "dsse":
        content = {"envelope": envelope(key), "verifiers": [text(pem)]}
        return {"apiVersion": "0.0.1", "kind": kind, "spec": {"proposedContent": content}}
    spec = {"content": {"envelope": envelope(key)}, "publicKey": text(pem)}
    return {"apiVersion": "0.0.1", "kind": kind, "spec": spec}


OTHERS: dict[str, Any] = {
    "ec": KEY,
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "rsa": rsa.generate_private_key(65537, 2048),
}


@pytest.mark.parametrize("kind", ["dsse", "intoto"])
@pytest.mark.parametrize("name", OTHERS)
def test_an_envelope_is_logged_with_its_key(dev: Local, kind: str, name: str) -> None:
    key = OTHERS[name]
    pem = key.public_key().public_bytes(Encoding.PEM, SPKI)

    answer = post(dev, "/api/v1/log/entries", entry_of(kind, key, pem))

    (found,) = json.loads(answer.body).values()
    body = b64decode(found["body"])
    said = read_body(body, kind, "0.0.1")
    assert said.verifier == key.public_key().public_bytes(Encoding.DER, SPKI)


def second(key: Any, digest: bytes, details: str = "PKIX_ECDSA_P256_SHA_256") -> dict[str, Any]:
    raw = text(key.public_key().public_bytes(Encoding.DER, SPKI))
    signed = key.sign(b"message", *algorithm(key))
    verifier = {"keyDetails": details, "publicKey": {"rawBytes": raw}}
    wanted = {"signature": {"content": text(signed), "verifier": verifier}, "digest": text(digest)}
    return {"hashedRekordRequestV002": wanted}


@pytest.mark.parametrize(
    ("name", "details", "status"),
    [
        ("ec", "PKIX_ECDSA_P256_SHA_256", 201),
        ("rsa", "PKIX_RSA_PKCS1V15_2048_SHA256", 201),
        ("ed25519", "PKIX_ECDSA_P256_SHA_256", 400),
        ("ec", "PKIX_ED25519", 400),
        ("ec", "PKIX_ECDSA_P384_SHA_384", 400),
    ],
)
def test_the_second_log_keeps_hashes(dev: Local, name: str, details: str, status: int) -> None:
    digest = hashlib.sha256(b"message").digest()

    answer = post(dev, "/api/v2/log/entries", second(OTHERS[name], digest, details))

    assert answer.status == status


@pytest.mark.parametrize(("payload", "status"), [(STATEMENT, 201), (b"other", 400)])
def test_the_second_log_keeps_envelopes_as_cosign_2_writes_them(
    dev: Local, payload: bytes, status: int
) -> None:
    found = {**json.loads(envelope(KEY)), "payload": text(payload)}
    raw = text(KEY.public_key().public_bytes(Encoding.DER, SPKI))
    verifier = {"keyDetails": "PKIX_ECDSA_P256_SHA_256", "publicKey": {"rawBytes": raw}}

    answer = post(
        dev,
        "/api/v2/log/entries",
        {"dsseRequestV002": {"envelope": found, "verifiers": [verifier]}},
    )

    assert answer.status == status
    if status == 201:
        entry = read_entry(json.loads(answer.body))
        said = read_body(entry.body, "dsse", "0.0.2")
        assert (entry.kind, said.digest) == ("dsse", hashlib.sha256(payload).digest())


def test_the_second_log_takes_no_hash_of_something_else(dev: Local) -> None:
    assert post(dev, "/api/v2/log/entries", second(KEY, bytes(32))).status == 400


def test_an_envelope_with_a_foreign_signature_is_refused(dev: Local) -> None:
    envelope = json.dumps(dsse.to_json(names.IN_TOTO, STATEMENT, b"none"))
    pem = KEY.public_key().public_bytes(Encoding.PEM, SPKI)
    content = {"envelope": envelope, "verifiers": [text(pem)]}
    entry = {"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}}

    assert post(dev, "/api/v1/log/entries", entry).status == 400


@pytest.mark.parametrize(
    "target",
    ["/api/v1/log/entries/zz", "/api/v1/log/entries/" + "00" * 40, "/api/v1/log/entries?logIndex=x",
     "/api/v1/log/entries?logIndex=9999999", "/nothing", "/"],
)  # fmt: skip
def test_what_is_not_there_is_said(dev: Local, target: str) -> None:
    answer = get(dev, target)

    assert answer.status in {400, 404}
    assert json.loads(answer.body)["code"] == answer.status


@pytest.mark.parametrize("body", [b"", b"\x30\x00", b"x" * 50])
def test_what_is_no_timestamp_query_is_refused(dev: Local, body: bytes) -> None:
    assert post(dev, "/api/v1/timestamp", body).status == 400


def test_the_chain_of_the_clock_is_shown(dev: Local) -> None:
    found = x509.load_pem_x509_certificates(get(dev, "/api/v1/timestamp/certchain").body)

    assert tuple(found) == dev.root.timestamps[0].chain


def test_a_restart_keeps_keys_and_log(tmp_path: Path) -> None:
    before = local(tmp_path)
    (name,) = json.loads(post(before, "/api/v1/log/entries", proposed()).body)
    old = before.document("trusted_root.json")
    before.stack.close()

    after = local(tmp_path)

    assert after.document("trusted_root.json") == old
    assert get(after, f"/api/v1/log/entries/{name}").status == 200
    after.stack.close()


def test_private_keys_are_for_the_owner_only(dev: Local, stack_folder: Path) -> None:
    modes = {path.suffix: path.stat().st_mode & 0o777 for path in (stack_folder / "keys").iterdir()}

    assert modes == {".key": 0o600, ".crt": 0o644}


@pytest.mark.parametrize(
    "content", [b"", b"no key", KEY.public_key().public_bytes(Encoding.PEM, SPKI)]
)
def test_a_folder_with_a_broken_key_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/tokens.key").write_bytes(content)

    with pytest.raises(StateUnusable, match=str(tmp_path)):
        local(tmp_path)


def test_a_key_of_another_kind_is_named(tmp_path: Path) -> None:
    before = local(tmp_path)
    before.stack.close()
    keys = tmp_path / "keys"
    (keys / "tokens.key").write_bytes((keys / "log-2.key").read_bytes())

    with pytest.raises(StateUnusable, match="RSA"):
        local(tmp_path)
