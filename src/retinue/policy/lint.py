"""What a policy says that its author may not have meant. Loading has refused what is wrong."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from retinue.attest.anchors import KeyAnchor, KeylessAnchor, X509Anchor
from retinue.papers.kinds import Kind
from retinue.policy.decision import Operation
from retinue.policy.model import Attestation, Coverage, Policy, Rule, Select, Tags, Unmatched

SOON = timedelta(days=30)


class Advice(Struct, frozen=True):
    """`field` is the path of what is meant, as in PolicyInvalid; `soon`: it stops pulls by itself."""

    field: str
    text: str
    soon: bool = False


def check(policy: Policy, now: datetime) -> tuple[Advice, ...]:
    """Everything worth a second look, in the order of the file."""
    found = (*_anchors(policy, now), *_revocation(policy), *_rules(policy))
    return tuple(dict.fromkeys(found))


def _anchors(policy: Policy, now: datetime) -> Iterator[Advice]:
    for anchor in policy.trust.anchors:
        field = f"anchors.{anchor.name}"
        if isinstance(anchor, KeyAnchor):
            yield from _keys(anchor, field, now)
        elif isinstance(anchor, X509Anchor):
            yield from _x509(anchor, field, now)
        elif anchor.identity_re2 is not None:
            yield from _identity(anchor, anchor.identity_re2, field)
    for time in policy.trust.times:
        for each in time.chain:
            ends = each.not_valid_after_utc
            yield from _ending(f"anchors.{time.name}.chain", "a certificate", ends, now)
    used = _used(policy)
    for anchor in policy.trust.anchors:
        if anchor.name not in used:
            yield Advice(f"anchors.{anchor.name}", "no rule asks for this signer")


def _keys(anchor: KeyAnchor, field: str, now: datetime) -> Iterator[Advice]:
    usable = [
        key for key in anchor.keys if key.revoked is None and (key.until is None or key.until > now)
    ]
    for i, key in enumerate(anchor.keys):
        if key.until is not None and key.revoked is None:
            yield from _ending(f"{field}.keys[{i}].until", "the key", key.until, now)
    if not usable:
        yield Advice(f"{field}.keys", "none of its keys can sign any more", soon=True)


def _x509(anchor: X509Anchor, field: str, now: datetime) -> Iterator[Advice]:
    if not anchor.subject:
        yield Advice(f"{field}.subject", "takes every certificate below these roots")
    for i, root in enumerate(anchor.roots):
        yield from _ending(f"{field}.roots[{i}]", "the root", root.not_valid_after_utc, now)


def _ending(field: str, what: str, at: datetime, now: datetime) -> Iterator[Advice]:
    """Expiry stops what has no trusted time: that is worth knowing a month before."""
    if at <= now:
        yield Advice(field, f"{what} ended {at:%Y-%m-%d}")
    elif at <= now + SOON:
        days = (at - now).days
        yield Advice(field, f"{what} ends in {days} days, on {at:%Y-%m-%d}", soon=True)


def _identity(anchor: KeylessAnchor, expression: str, field: str) -> Iterator[Advice]:
    if expression in {".*", ".+", "(?s).*", "(?s:.*)"}:
        yield Advice(field, f"everybody whom {anchor.issuer} vouches for may sign")
    elif expression.endswith((".*", ".+")) and "@" not in expression:
        yield Advice(field, "ends in anything: repositories of others may begin like yours")


def _used(policy: Policy) -> Collection[str]:
    used: set[str] = set(policy.revocation.revokers if policy.revocation else ())
    for rule in policy.rules:
        used.update(rule.signatures.of if rule.signatures else ())
        used.update(name for asked in rule.attestations for name in asked.by)
    return used


def _revocation(policy: Policy) -> Iterator[Advice]:
    enforced = any(rule.enforced for rule in policy.rules)
    if policy.revocation is None:
        if enforced:
            yield Advice("revocation", "is missing: a signature that was made counts for ever")
    elif policy.revocation.list is None:
        text = "names no list: whoever lists papers can leave a revocation out"
        yield Advice("revocation.list", text)
    elif policy.revocation.max_age is None:
        text = "is missing: an old list is believed until the expiry that it states itself"
        yield Advice("revocation.max_age", text)


def _rules(policy: Policy) -> Iterator[Advice]:
    if not policy.rules:
        yield Advice("rule", f"there is none: everything is {policy.unmatched}")
    if policy.unmatched is Unmatched.ALLOW:
        yield Advice("unmatched", "what no rule is about is allowed: a new name needs no papers")
    if policy.rules and not any(rule.enforced for rule in policy.rules):
        yield Advice(
            "rule", "no rule is enforced: nothing is refused but what is unmatched or denied"
        )
    for i, rule in enumerate(policy.rules):
        field = f"rule[{i}]"
        yield from _reach(policy, i, field)
        yield from _signatures(rule, field)
        for j, asked in enumerate(rule.attestations):
            yield from _attestation(policy, rule, asked, f"{field}.attestation[{j}]")


def _reach(policy: Policy, i: int, field: str) -> Iterator[Advice]:
    """Rules that can match nothing, or ask for what another asks already."""
    rule = policy.rules[i]
    for excepted in rule.excepted:
        if excepted.text in {"**", *(glob.text for glob in rule.images)}:
            yield Advice(f"{field}.except", f"{excepted.text!r} leaves nothing of the rule")
    for j, image in enumerate(rule.images):
        if any(
            e.literal is False and image.literal and e.matches(image.text) for e in rule.excepted
        ):
            yield Advice(f"{field}.images[{j}]", f"{image.text!r} is excepted below: never matches")
    for other in policy.rules[:i]:
        if _same_demands(other, rule) and set(rule.images) <= set(other.images):
            yield Advice(field, f"is shadowed: {other.name!r} asks for the same of the same images")


def _same_demands(one: Rule, other: Rule) -> bool:
    """Whether `one` asks for all that `other` does, of the same images."""
    bare = replace(one, name=other.name, images=other.images, excepted=other.excepted, on=other.on)
    return bare == other and other.on <= one.on and not one.excepted


def _signatures(rule: Rule, field: str) -> Iterator[Advice]:
    asked = rule.signatures
    if asked is None:
        if rule.enforced and rule.index is Coverage.PARENT:
            yield Advice(f"{field}.index", "covers signatures alone, and the rule asks for none")
        return
    if rule.tag is not Tags.IGNORE and Operation.CLI in rule.on and len(rule.on) == 1:
        yield Advice(f"{field}.tag", "is asked of the command line alone: pulls are not held to it")
    if rule.tag is Tags.SIGNED:
        text = "a signed annotation never expires: only `statement` bounds how far a tag rolls back"
        yield Advice(f"{field}.tag", text)


def _attestation(policy: Policy, rule: Rule, asked: Attestation, field: str) -> Iterator[Advice]:
    keyed = [
        anchor.name
        for anchor in policy.trust.anchors
        if anchor.name in asked.by and isinstance(anchor, KeyAnchor)
    ]
    if asked.max_age is not None and keyed:
        clocks = rule.trusted_time if rule.trusted_time is not None else policy.trust.times
        if not clocks and not policy.trust.roots:
            text = f"papers by {keyed[0]!r} have no trusted time here, so none is ever young enough"
        else:
            text = f"{keyed[0]!r} signs by key: whoever has an old paper can have it stamped anew"
        yield Advice(f"{field}.max_age", text)
    if asked.select is not Select.ANY and asked.max_age is None:
        text = "is missing: whoever can withhold the newest paper can do so for ever"
        yield Advice(f"{field}.max_age", text)
    for demand in asked.demands:
        for text in demand.doubts(asked.type):
            yield Advice(f"{field}.{demand.field}", text)
    if asked.type.speaks_of(Kind.VULNERABILITIES) and asked.select is Select.ANY:
        yield Advice(f"{field}.select", '"any" takes an old clean scan; "newest" does not')
