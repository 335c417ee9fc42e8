"""Damages of what a repository holds, and of what is derived from it."""

from damages import NO, PUSH, YES, damage
from retinue.registry.upkeep.findings import Kind

_HOLDINGS = (
    damage(
        "manifest points at another one's bytes",
        "update manifest set object = (select id from object where digest = {b}) where digest = {a}",
        YES,
        Kind.WRONG_OBJECT,
    ),
    damage(
        "manifest points at a file",
        "update manifest set object = (select id from object where digest = {large})"
        " where digest = {a}",
        YES,
        Kind.WRONG_OBJECT,
    ),
    damage(
        "manifest points at nothing",
        "update manifest set object = 999999 where digest = {a}",
        YES,
        Kind.WRONG_OBJECT,
    ),
    damage(
        "blob points at another file",
        "update repo_blob set object = (select id from object where digest = {other})"
        " where digest = {large}",
        YES,
        Kind.WRONG_OBJECT,
    ),
    damage(
        "blob points at nothing",
        "update repo_blob set object = 999999 where digest = {large}",
        YES,
        Kind.WRONG_OBJECT,
    ),
    damage(
        "size of a blob",
        "update repo_blob set size = 7 where digest = {large}",
        YES,
        Kind.WRONG_SIZE,
    ),
    damage("blob gone", "delete from repo_blob where digest = {layer}", PUSH, Kind.MISSING_PART),
    damage(
        "blob whose digest is none",
        "update repo_blob set digest = {none} where digest = {layer}",
        PUSH,
        Kind.MALFORMED,
        Kind.MISSING_PART,
    ),
    damage(
        "blob of no repository",
        "update repo_blob set repository = 999999 where digest = {large}",
        NO,
        Kind.NO_REPOSITORY,
    ),
)

_MANIFESTS = (
    damage(
        "media type of another kind",
        "update manifest set media_type = 'application/vnd.oci.image.index.v1+json'"
        " where digest = {a}",
        YES,
        Kind.WRONG_MEDIA_TYPE,
    ),
    damage(
        "media type that is none",
        "update manifest set media_type = 'text/html' where digest = {a}",
        YES,
        Kind.WRONG_MEDIA_TYPE,
    ),
    damage(
        "artifact type of a manifest",
        "update manifest set artifact_type = 'other' where digest = {paper}",
        YES,
        Kind.WRONG_TYPE,
    ),
    damage(
        "version of links",
        "update manifest set links_version = 0 where digest = {a}",
        YES,
        Kind.WRONG_LINKS,
    ),
    damage(
        "manifest gone",
        "delete from manifest where digest = {a}",
        PUSH,
        Kind.DANGLING_TAG,
        Kind.STRAY_LINKS,
        Kind.MISSING_PART,
    ),
    damage(
        "manifest whose digest is none",
        "update manifest set digest = {none} where digest = {a}",
        PUSH,
        Kind.MALFORMED,
        Kind.DANGLING_TAG,
    ),
    damage(
        "manifest whose digest is another",
        "update manifest set digest = {absent} where digest = {a}",
        NO,
        Kind.WRONG_OBJECT,
        Kind.DANGLING_TAG,
    ),
    damage(
        "manifest of no repository",
        "update manifest set repository = 999999 where digest = {a}",
        NO,
        Kind.NO_REPOSITORY,
        Kind.DANGLING_TAG,
    ),
)

_LINKS = tuple(
    damage(what, harm, YES, kind)
    for what, harm, kind in (
        ("links gone", "delete from link", Kind.WRONG_LINKS),
        ("a blob's link gone", "delete from link where target = {layer}", Kind.WRONG_LINKS),
        ("size of a link", "update link set size = 8 where target = {layer}", Kind.WRONG_LINKS),
        (
            "a link too many",
            (
                "insert into link (repository, source, kind, target, witness, way, size)"
                " select repository, {a}, 2, {b}, {a}, 1, 7 from repository_of_all"
            ),
            Kind.WRONG_LINKS,
        ),
        (
            "links of nobody",
            (
                "insert into link (repository, source, kind, target, witness, way, size)"
                " select repository, {absent}, 3, {b}, {absent}, 1, 7 from repository_of_all"
            ),
            Kind.STRAY_LINKS,
        ),
        ("a kind that is none", "update link set kind = 9 where kind = 3", Kind.MALFORMED),
        ("a way that is none", "update link set way = 9 where kind = 3", Kind.MALFORMED),
        (
            "a source that is none",
            "update link set source = {none}, witness = {none} where kind = 3",
            Kind.MALFORMED,
        ),
        ("a target that is none", "update link set target = {none} where kind = 3", Kind.MALFORMED),
        (
            "a witness that is none",
            "update link set witness = {none} where kind = 3",
            Kind.MALFORMED,
        ),
        (
            "a way of another kind",
            "update link set way = 5 where kind = 3",
            Kind.WRONG_LINKS,
        ),
        ("links of no repository", "update link set repository = 999999", Kind.NO_REPOSITORY),
    )
)

_PAPERS = tuple(
    damage(what, harm, YES, kind)
    for what, harm, kind in (
        ("papers gone", "delete from paper", Kind.WRONG_PAPERS),
        ("paper not listed", "update paper set listed = 0", Kind.WRONG_PAPERS),
        ("ways of a paper", "update paper set ways = 16", Kind.WRONG_PAPERS),
        (
            "entry altered",
            "update paper set entry = replace(entry, 'size', 'sise')",
            Kind.WRONG_PAPERS,
        ),
        ("entry without JSON", "update paper set entry = '{{'", Kind.WRONG_PAPERS),
        ("entry emptied", "update paper set entry = ''", Kind.WRONG_PAPERS),
        (
            "entry of another digest",
            "update paper set entry = replace(entry, '{paper_hex}', '{a_hex}')",
            Kind.WRONG_PAPERS,
        ),
        ("artifact type of a paper", "update paper set artifact_type = 'x'", Kind.WRONG_PAPERS),
        ("artifact type forgotten", "update paper set artifact_type = null", Kind.WRONG_PAPERS),
        (
            "paper of another subject",
            "update paper set subject = {b}",
            Kind.WRONG_PAPERS,
        ),
        (
            "a paper too many",
            (
                "insert into paper (repository, subject, digest, listed, ways)"
                " select repository, {b}, {a}, 1, 1 from repository_of_all"
            ),
            Kind.WRONG_PAPERS,
        ),
        ("subject that is none", "update paper set subject = {none}", Kind.MALFORMED),
        ("paper that is none", "update paper set digest = {none}", Kind.MALFORMED),
        ("papers of no repository", "update paper set repository = 999999", Kind.NO_REPOSITORY),
    )
)

OF_ROWS = (*_HOLDINGS, *_MANIFESTS, *_LINKS, *_PAPERS)
