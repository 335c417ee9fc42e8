"""notation's trust policy (trustpolicy.json) and trust store to a policy.

https://github.com/notaryproject/specifications/blob/main/specs/trust-store-trust-policy.md
"""

from collections.abc import Mapping, Sequence

from retinue.policy.errors import ImportRefused
from retinue.policy.globs import BadGlob, parse_image
from retinue.policy.importers.writing import Document, Plain
from retinue.policy.importers.yaml import Node
from retinue.strictjson import InvalidJson, loads

_SUBJECT = "x509.subject:"
_LEVELS = {"strict": "enforce", "permissive": "enforce", "audit": "audit", "skip": "audit"}


def convert(raw: bytes, stores: Mapping[str, Sequence[str]]) -> str:
    """The text of a policy that says the same; raises ImportRefused.

    `stores`: for each named store (`ca:acme`, `tsa:public`) the certificate files in it, as the
    policy is to name them.
    """
    try:
        document = Node(loads(raw), "trust policy")
    except InvalidJson as problem:
        raise ImportRefused("trust policy", str(problem)) from None
    if document.needed("version") != "1.0":
        raise document.refuse("version", "must be 1.0")
    policies = document.nodes("trustPolicies")
    document.done()
    if not policies:
        raise document.refuse("trustPolicies", "is empty")
    made = Document("a trust policy of notation")
    made.notes += [
        "Certificates are not asked about at their issuers (CRL, OCSP): add [revocation].",
        "What no scope names is refused, as notation does.",
    ]
    scoped = [(each, each.texts("registryScopes")) for each in policies]
    exact = [scope for _, scopes in scoped for scope in scopes if scope != "*"]
    for each, scopes in scoped:
        _statement(each, scopes, exact, stores, made)
    return made.text()


def _statement(
    node: Node,
    scopes: Sequence[str],
    exact: Sequence[str],
    stores: Mapping[str, Sequence[str]],
    made: Document,
) -> None:
    name = node.needed("name")
    notes: list[str] = []
    level = _level(node.node("signatureVerification"), notes)
    values: dict[str, Plain] = {"name": name, "images": _images(node, scopes)}
    if "*" in scopes:
        values["except"] = list(dict.fromkeys(exact))
    values["mode"] = _LEVELS[level]
    trust, identities = node.texts("trustStores"), node.texts("trustedIdentities")
    node.done()
    if level == "skip":
        notes.append("Nothing is asked: this only watches.")
        made.add("[[rule]]", values, notes)
        return
    anchors = _anchors(node, name, trust, identities, stores, made)
    times = _times(trust, stores, made)
    if times:
        values["trusted_time"] = times
    made.add("[[rule]]", values, notes)
    made.add("[rule.signatures]", {"k": 1, "of": anchors, "formats": ["notation"]})


def _images(node: Node, scopes: Sequence[str]) -> list[Plain]:
    if not scopes:
        raise node.refuse("registryScopes", "is empty")
    images: list[Plain] = []
    for scope in scopes:
        try:
            images.append(parse_image("**" if scope == "*" else scope).text)
        except BadGlob as problem:
            raise node.refuse("registryScopes", f"{scope!r} {problem}") from None
    return images


def _level(node: Node, notes: list[str]) -> str:
    level = node.needed("level")
    if level not in _LEVELS:
        raise node.refuse("level", f"{level!r} is none of: {', '.join(_LEVELS)}")
    if level == "permissive":
        notes.append("Stricter: expiry is enforced here, and was only logged.")
    for check, action in node.strings("override").items():
        if check in {"integrity", "authenticity"} and action != "enforce":
            raise node.refuse(
                "override", f"{check} = {action}: nothing would be verified; use audit"
            )
        notes.append(f"The override {check} = {action} has no effect here.")
    if node.has("verifyTimestamp"):
        when = node.text("verifyTimestamp")
        notes.append(f"Timestamps always count where there is one (was: {when}).")
    node.done()
    return level


def _anchors(
    node: Node,
    name: str,
    trust: Sequence[str],
    identities: Sequence[str],
    stores: Mapping[str, Sequence[str]],
    made: Document,
) -> list[Plain]:
    """One anchor for each identity, under all roots of the statement."""
    roots: list[Plain] = []
    for store in trust:
        if store.startswith("signingAuthority:"):
            raise node.refuse("trustStores", f"{store}: signing authorities are not supported")
        if store.startswith("ca:"):
            roots += _files(store, stores)
    if not roots or not identities:
        missing = "trustStores" if not roots else "trustedIdentities"
        raise node.refuse(missing, "is empty: nobody is trusted")
    found: list[Plain] = []
    for identity in identities:
        values: dict[str, Plain] = {"type": "x509", "roots": list(dict.fromkeys(map(str, roots)))}
        values["subject"] = _subject(node, identity)
        found.append(made.anchor(name, values, {}, ()))
    return found


def _files(store: str, stores: Mapping[str, Sequence[str]]) -> Sequence[str]:
    files = stores.get(store, ())
    if not files:
        raise ImportRefused(f"trust store {store}", "has no certificates")
    return files


def _times(
    trust: Sequence[str], stores: Mapping[str, Sequence[str]], made: Document
) -> list[Plain]:
    found: list[Plain] = []
    for store in trust:
        for file in _files(store, stores) if store.startswith("tsa:") else ():
            values: dict[str, Plain] = {"type": "tsa", "chain": file}
            found.append(made.anchor(store.replace(":", "-"), values, {}, ()))
    return found


def _subject(node: Node, identity: str) -> dict[str, Plain]:
    if identity == "*":
        return {}
    if not identity.startswith(_SUBJECT):
        raise node.refuse("trustedIdentities", f"{identity[:80]!r} is no {_SUBJECT} nor *")
    found: dict[str, Plain] = {}
    for part in _split(identity.removeprefix(_SUBJECT)):
        name, equals, value = part.partition("=")
        name, value = name.strip().upper(), value.strip()
        if not equals or not name or not value or name in found or "+" in part:
            raise node.refuse("trustedIdentities", f"{part.strip()[:80]!r} is no NAME=VALUE, once")
        found[name] = value
    return found


def _split(text: str) -> Sequence[str]:
    """At commas that no backslash precedes (RFC 4514), which is taken off."""
    parts, current, escaped = [], "", False
    for character in text:
        if escaped:
            current, escaped = current + character, False
        elif character == "\\":
            escaped = True
        elif character == ",":
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]
