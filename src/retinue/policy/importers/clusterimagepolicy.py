"""ClusterImagePolicy (policy.sigstore.dev v1alpha1, v1beta1) to a policy.

All policies that match an image must pass, and any authority within one: the same as here, rule by
rule. What cannot be said is refused, never left out. What is said otherwise is a comment.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from retinue.papers.kinds import Kind
from retinue.policy.anchors import INLINE
from retinue.policy.errors import ImportRefused, PolicyInvalid
from retinue.policy.globs import BadGlob, parse_image
from retinue.policy.importers import programs
from retinue.policy.importers.expressions import literal, whole
from retinue.policy.importers.writing import Document, Plain, named
from retinue.policy.importers.yaml import Node, documents
from retinue.policy.ruleset import paper_type

API = ("policy.sigstore.dev/v1beta1", "policy.sigstore.dev/v1alpha1")
HUB = "docker.io"


_ANY = re.compile(r"(?::|@(?:sha256:)?)\*\*?$")
"""How globs end that are about any tag or digest: they match whole references there."""


class Authority(Struct):
    """What one authority comes to: anchors, or a verdict that looks at nothing."""

    path: str
    anchors: list[str] = []
    attestations: list[str] = []
    passes: bool = False
    logged: bool = False
    papers_in: list[str] = []
    notes: list[str] = []


def convert(raw: bytes) -> str:
    """The text of a policy that says the same; raises ImportRefused with the field that does not
    go over. Files that it names and that are not there yet are told of in comments."""
    found = [Node(each, f"document {i}") for i, each in enumerate(documents(raw), 1)]
    if not found:
        raise ImportRefused("file", "holds no ClusterImagePolicy")
    made = Document("ClusterImagePolicy (policy.sigstore.dev)")
    made.notes.append(
        "No revocation list is named: add [revocation] to be able to take a signature back."
    )
    made.notes.append(
        "Globs are about repositories here: all tags and digests of one are held to its rule."
    )
    for each in found:
        _policy(each, made)
    return made.text()


def _policy(node: Node, made: Document) -> None:
    version, kind = node.text("apiVersion"), node.text("kind")
    if version not in API or kind != "ClusterImagePolicy":
        raise node.refuse("kind", f"is {version} {kind}; a ClusterImagePolicy is wanted")
    name = node.node("metadata").needed("name")
    node.forget("status")
    spec = node.node("spec")
    node.done()
    if spec.nodes("match"):
        raise spec.refuse(
            "match", "selects Kubernetes resources; here rules are about images alone"
        )
    if spec.has("policy"):
        raise spec.refuse("policy", programs.REASON)
    images = [_image(each) for each in spec.nodes("images")]
    mode = spec.text("mode", "enforce")
    if not images or mode not in {"enforce", "warn"}:
        raise spec.refuse("images" if not images else "mode", "is missing, or not known here")
    authorities = [_authority(each, name, made) for each in spec.nodes("authorities")]
    spec.done()
    _rule(name, {"images": images, "on": ["admission"], "mode": mode}, authorities, made)


def _image(node: Node) -> str:
    glob = node.needed("glob")
    node.done()
    full = {"*": f"{HUB}/library/*", "*/*": f"{HUB}/*/*"}.get(glob, glob)
    full = _ANY.sub("", full.replace("index.docker.io/", f"{HUB}/", 1))
    if "/" not in full and "**" not in full:
        full = f"{HUB}/library/{full}"
    try:
        return parse_image(full).text
    except BadGlob as problem:
        raise node.refuse("glob", f"{glob!r} {problem}") from None


def _rule(
    name: str, values: dict[str, Plain], authorities: Sequence[Authority], made: Document
) -> None:
    """A rule that holds when any of the authorities does."""
    notes = [note for each in authorities for note in each.notes]
    values = {"name": name, **values}
    if any(each.passes for each in authorities):
        notes.append(
            "An authority passes whatever it is shown: nothing is asked, so this only watches."
        )
        made.add("[[rule]]", {**values, "mode": "audit"}, notes)
        return
    if not authorities:
        raise ImportRefused(f"{name}.authorities", "is empty, which refuses or allows by a setting")
    values["papers_in"] = list(dict.fromkeys(p for each in authorities for p in each.papers_in))
    if any(each.logged for each in authorities):
        values["transparency"] = "required"
        if not all(each.logged for each in authorities):
            notes.append("Stricter: a log entry is asked of every authority, not only of some.")
    anchors = list(dict.fromkeys(anchor for each in authorities for anchor in each.anchors))
    kinds = {tuple(each.attestations) for each in authorities}
    if kinds == {()}:
        made.add("[[rule]]", values, notes)
        notes = ["Both ways of writing signatures count, whichever is found."]
        made.add(
            "[rule.signatures]", {"k": 1, "of": anchors, "formats": ["bundle", "legacy"]}, notes
        )
        return
    if len(kinds) > 1 or (len(authorities) > 1 and len(authorities[0].attestations) > 1):
        reason = "several authorities with different attestations: make a rule for each, by hand"
        raise ImportRefused(f"{name}.authorities", reason)
    made.add("[[rule]]", values, notes)
    for each in authorities[0].attestations:
        made.add("[[rule.attestation]]", {"type": each, "by": anchors, "select": "any"})


def _authority(node: Node, policy: str, made: Document) -> Authority:
    found = Authority(node.path)
    name = node.text("name") or "authority"
    if node.has("static"):
        _static(node.node("static"), found)
    for each in node.nodes("source"):
        _source(each, found)
    for each in node.nodes("attestations"):
        _attestation(each, found)
    builders = any(paper_type(a, a).speaks_of(Kind.PROVENANCE) for a in found.attestations)
    extra: dict[str, Plain] = {"builders": ["**"]} if builders else {}
    notes = ["Any builder is believed, as before: narrow `builders`."] if builders else []
    if node.has("key"):
        _key(node.node("key"), f"{policy}-{name}", found, made, extra, notes)
    if node.has("keyless"):
        _keyless(node.node("keyless"), f"{policy}-{name}", found, made, extra, notes)
    _log(node, found)
    _timestamps(node, found, made)
    if node.text("signatureFormat", "legacy") not in {"legacy", "bundle"}:
        raise node.refuse("signatureFormat", "is neither legacy nor bundle")
    node.done()
    if not found.anchors and not found.passes:
        raise ImportRefused(node.path, "names neither key nor keyless nor static")
    return found


def _static(node: Node, found: Authority) -> None:
    action = node.needed("action")
    node.forget("message")
    node.done()
    if action != "pass":
        reason = f"action {action!r}: to refuse images leave them unmatched, or deny their digests"
        raise ImportRefused(node.path, reason)
    found.passes = True


def _source(node: Node, found: Authority) -> None:
    if node.text("tagPrefix"):
        raise node.refuse("tagPrefix", "papers under other tags are not looked for")
    node.forget("signaturePullSecrets")
    if repository := node.text("oci"):
        found.papers_in.append(repository)
        found.notes.append(f"Papers in {repository} count, and those beside the image count, too.")
    node.done()


def _attestation(node: Node, found: Authority) -> None:
    node.forget("name")
    kind = node.needed("predicateType")
    if node.has("policy"):
        raise node.refuse("policy", programs.REASON)
    node.done()
    try:
        paper_type(kind, node.at("predicateType"))
    except PolicyInvalid as problem:
        raise node.refuse("predicateType", problem.reason) from None
    found.attestations.append(kind)


def _key(
    node: Node,
    name: str,
    found: Authority,
    made: Document,
    extra: dict[str, Plain],
    notes: Sequence[str],
) -> None:
    data, kms = node.text("data"), node.text("kms")
    secret = node.node("secretRef")
    node.forget("hashAlgorithm")
    said = list(notes)
    if data:
        pem = f"{data.strip()}\n"
        if not pem.startswith(INLINE):
            raise node.refuse("data", "is no public key in PEM")
    else:
        where = kms or f"the secret {secret.text('namespace')}/{secret.text('name')}"
        pem = f"{named(where.rpartition(':')[2].strip('/'), ())}.pub"
        said.append(f"Write the public key of {where} to {pem}.")
    node.done()
    values: dict[str, Plain] = {"type": "key", "keys": [{"pem": pem}]}
    found.anchors.append(made.anchor(name, values, extra, said))


def _keyless(
    node: Node,
    name: str,
    found: Authority,
    made: Document,
    extra: dict[str, Plain],
    notes: Sequence[str],
) -> None:
    if node.has("ca-cert"):
        raise node.refuse("ca-cert", "make a trusted root of it, and name that by trustRootRef")
    said = list(notes)
    reference, url = node.text("trustRootRef"), node.text("url")
    root = f"{reference or 'trusted-root'}.json"
    where = f"TrustRoot {reference}" if reference else url or "the public-good instance"
    said.append(f"Write the trusted root of {where} to {root}.")
    if node.flag("insecureIgnoreSCT"):
        said.append("Stricter: a certificate's timestamp by a CT log is always asked for.")
    identities = node.nodes("identities")
    if not identities:
        raise node.refuse("identities", "is empty: anybody would be trusted")
    for each in identities:
        values = {"type": "keyless", "root": root, **_identity(each, said)}
        found.anchors.append(made.anchor(name, values, extra, said))
    node.done()


def _identity(node: Node, said: list[str]) -> dict[str, Plain]:
    issuer, subject = node.text("issuer"), node.text("subject")
    issuers, subjects = node.text("issuerRegExp"), node.text("subjectRegExp")
    node.done()
    if not issuer:
        issuer = literal(issuers) or ""
    if not issuer:
        raise ImportRefused(node.path, "needs one exact issuer; make an identity for each")
    if subject:
        return {"issuer": issuer, "identity": subject}
    if not subjects:
        said.append("As before, everybody whom this issuer vouches for is trusted.")
        return {"issuer": issuer, "identity_re2": ".*"}
    return {"issuer": issuer, "identity_re2": whole(subjects)}


def _log(node: Node, found: Authority) -> None:
    if not node.has("ctlog"):
        return
    log = node.node("ctlog")
    url, reference = log.text("url"), log.text("trustRootRef")
    log.done()
    found.logged = bool(url or reference)
    if found.logged:
        found.notes.append("Log entries must be of a log that a trusted root named here has.")


def _timestamps(node: Node, found: Authority, made: Document) -> None:
    if not node.has("rfc3161timestamp"):
        return
    stamps = node.node("rfc3161timestamp")
    root = f"{stamps.needed('trustRootRef')}.json"
    stamps.done()
    made.roots[root] = None
    found.notes.append(
        f"Timestamps of the authorities in {root} are believed; without one now is the time that counts."
    )
