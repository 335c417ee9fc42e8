"""Policy files: TOML, or the same as JSON. What is not understood is refused, not skipped."""

import hashlib
import tomllib
from collections.abc import Callable, Mapping

from retinue import strictjson
from retinue.attest.anchors import Trust
from retinue.oci import digest
from retinue.oci.digest import Digest
from retinue.papers.limits import Limits
from retinue.policy import anchors, globs, ruleset, units
from retinue.policy.demands import Compile
from retinue.policy.errors import PolicyInvalid
from retinue.policy.fields import Table, read
from retinue.policy.model import Policy, Revocation, Unmatched

MAX_BYTES = 1024 * 1024


def load(
    raw: bytes,
    *,
    form: str = "toml",
    read: Callable[[str], bytes],
    cel: Compile | None = None,
) -> Policy:
    """A policy from a file's bytes; `form` is `toml` or `json`.

    `read` opens the files that the policy names (keys, roots, chains, schemas), by the names in it;
    it is to stay within the policy's folder. `cel` compiles expressions (`policy.cel.compiled`);
    whoever answers within a deadline has none, and then no paper satisfies them. Raises
    PolicyInvalid, and whatever `read` raises besides OSError.
    """
    document = Table(_parse(raw, form))
    if document.take("version") != 1:
        raise PolicyInvalid("version", "must be 1: that is all that this program knows")
    files = anchors.Files(read)
    trust = anchors.load(document, files)
    rules = ruleset.load(document, trust, files, cel)  # names files, too: before the digest
    policy = Policy(
        digest=_digest(raw, files.contents),
        unmatched=document.choice("unmatched", Unmatched),
        limits=_limits(document.table("limits")),
        trust=trust,
        deny=_denied(document),
        revocation=_revocation(document.table("revocation"), trust)
        if document.has("revocation")
        else None,
        rules=rules,
    )
    document.done()
    return policy


def _parse(raw: bytes, form: str) -> object:
    if len(raw) > MAX_BYTES:
        raise PolicyInvalid("document", f"has more than {MAX_BYTES} bytes")
    try:
        if form == "json":
            parsed: object = strictjson.loads(raw)
            return parsed
        return tomllib.loads(raw.decode())
    except strictjson.InvalidJson as problem:
        raise PolicyInvalid("document", str(problem)) from None
    except UnicodeDecodeError as problem:
        raise PolicyInvalid("document", f"is no UTF-8 at byte {problem.start}") from None
    except tomllib.TOMLDecodeError as problem:
        raise PolicyInvalid("document", f"is no TOML: {problem}") from None
    except RecursionError:
        raise PolicyInvalid("document", "is nested too deeply") from None


def _digest(raw: bytes, contents: Mapping[str, bytes]) -> str:
    """Of the file and all that it names, each by its name and digest."""
    running = hashlib.sha256(b"retinue policy 1\n")
    running.update(hashlib.sha256(raw).digest())
    for name in sorted(contents):
        running.update(hashlib.sha256(name.encode()).digest())
        running.update(hashlib.sha256(contents[name]).digest())
    return running.hexdigest()


def _limits(table: Table) -> Limits:
    usual = Limits()
    made = Limits(
        papers=table.count("papers", usual.papers),
        statement=table.unit("statement", units.size) or usual.statement,
        total=table.unit("total", units.size) or usual.total,
        seconds=table.number("seconds", usual.seconds, 0.1, 3600),
    )
    table.done()
    return made


def _denied(document: Table) -> Mapping[Digest, str]:
    found: dict[Digest, str] = {}
    for table in document.tables("deny"):
        try:
            denied = digest.parse(table.text("digest"))
        except digest.InvalidDigest as problem:
            raise table.wrong("digest", str(problem)) from None
        if denied in found:
            raise table.wrong("digest", "is denied above already")
        found[denied] = table.text("reason")
        table.done()
    return found


def _revocation(table: Table, trust: Trust) -> Revocation:
    made = Revocation(
        revokers=ruleset.signers(table, "revokers", trust),
        own=table.flag("self", default=False),
        list=read(globs.parse_place, table.text("list"), table.at("list"))
        if table.has("list")
        else None,
        max_age=table.unit("max_age", units.duration),
    )
    if made.max_age is not None and made.list is None:
        raise table.wrong("max_age", "is about `list`, which is missing")
    table.done()
    return made
