"""Damages of stored bytes, of what names them, and of what lies beside them."""

from damages import (
    LEFT,
    NO,
    PUSH,
    YES,
    damage,
    flip,
    folder,
    lose,
    lose_upload,
    pipe,
    shorten_upload,
    swap,
    symlink,
    truncate,
)
from retinue.registry.upkeep.findings import Kind

_OBJECTS = (
    damage(
        "object gone under a manifest",
        "delete from object where digest = {a}",
        PUSH,
        Kind.WRONG_OBJECT,
    ),
    damage(
        "object gone under a blob",
        "delete from object where digest = {layer}",
        PUSH,
        Kind.WRONG_OBJECT,
    ),
    damage(
        "object gone under a file",
        "delete from object where digest = {large}",
        PUSH,
        Kind.WRONG_OBJECT,
    ),
    damage(
        "size of a row",
        "update object set size = size + 1 where digest = {a}",
        YES,
        Kind.WRONG_SIZE,
    ),
    damage(
        "size of a file",
        "update object set size = size - 1 where digest = {large}",
        YES,
        Kind.WRONG_SIZE,
    ),
    damage(
        "size below nothing",
        "update object set size = -1 where digest = {large}",
        YES,
        Kind.WRONG_SIZE,
    ),
    damage(
        "location that is none",
        "update object set location = '../../etc/passwd' where digest = {large}",
        PUSH,
        Kind.WRONG_LOCATION,
    ),
    damage(
        "location without text",
        "update object set location = '' where digest = {large}",
        PUSH,
        Kind.WRONG_LOCATION,
    ),
    damage(
        "location of another file",
        "update object set location = (select location from object where digest = {other})"
        " where digest = {large}",
        PUSH,
        Kind.WRONG_LOCATION,
    ),
    damage(
        "location forgotten",
        "update object set location = null where digest = {large}",
        PUSH,
        Kind.MISSING_BYTES,
    ),
    damage(
        "location for a row",
        "update object set location = '{a_hex_2}/{a_hex}.session-01234567' where digest = {a}",
        PUSH,
        Kind.MISSING_BYTES,
    ),
    damage(
        "digest of an object",
        "update object set digest = {absent} where digest = {a}",
        LEFT,
        Kind.DAMAGED_BYTES,
        Kind.WRONG_OBJECT,
    ),
    damage(
        "digest of a file",
        "update object set digest = {absent} where digest = {large}",
        LEFT,
        Kind.WRONG_LOCATION,
        Kind.WRONG_OBJECT,
    ),
    damage(
        "digest of an object that is none",
        "update object set digest = {none} where digest = {a}",
        PUSH,
        Kind.MALFORMED,
        Kind.WRONG_OBJECT,
    ),
    damage(
        "scrubbed in the future",
        "update object set scrubbed = 9000000000000000000 where digest = {large}",
        YES,
        Kind.WRONG_TIME,
    ),
    damage(
        "bytes gone",
        "delete from object_bytes where object = (select id from object where digest = {a})",
        PUSH,
        Kind.MISSING_BYTES,
    ),
    damage(
        "bytes altered",
        "update object_bytes set body = {none} where object ="
        " (select id from object where digest = {a})",
        PUSH,
        Kind.DAMAGED_BYTES,
    ),
    damage(
        "bytes of a blob emptied",
        "update object_bytes set body = {nothing} where object ="
        " (select id from object where digest = {layer})",
        PUSH,
        Kind.DAMAGED_BYTES,
    ),
    damage(
        "bytes of another manifest",
        "update object_bytes set body = (select x.body from object_bytes x join object o"
        " on o.id = x.object where o.digest = {b})"
        " where object = (select id from object where digest = {a})",
        PUSH,
        Kind.DAMAGED_BYTES,
    ),
    damage(
        "bytes beside a file",
        "insert into object_bytes (object, body) select id, {none} from object"
        " where digest = {large}",
        YES,
        Kind.SURPLUS_BYTES,
    ),
    damage(
        "bytes of nothing",
        "insert into object_bytes (object, body) values (999999, {none})",
        YES,
        Kind.SURPLUS_BYTES,
    ),
)

_FILES = tuple(
    damage(f"file: {harm.__name__}", harm, PUSH, kind)
    for harm, kind in (
        (truncate, Kind.DAMAGED_BYTES),
        (flip, Kind.DAMAGED_BYTES),
        (lose, Kind.MISSING_BYTES),
        (pipe, Kind.MISSING_BYTES),
        (folder, Kind.MISSING_BYTES),
        (symlink, Kind.MISSING_BYTES),
        (swap, Kind.DAMAGED_BYTES),
    )
)

_OTHERS = (
    damage(
        "tag of nothing",
        "update tag set digest = {absent} where name = 'a'",
        PUSH,
        Kind.DANGLING_TAG,
    ),
    damage(
        "tag whose digest is none",
        "update tag set digest = {none} where name = 'a'",
        PUSH,
        Kind.MALFORMED,
    ),
    damage(
        "tag of no repository",
        "update tag set repository = 999999 where name = 'a'",
        NO,
        Kind.NO_REPOSITORY,
    ),
    damage(
        "usage whose digest is none",
        "insert into usage (repository, digest, last_pull, pulls)"
        " select repository, {none}, 1, 1 from repository_of_all",
        YES,
        Kind.MALFORMED,
    ),
    damage(
        "a location in use in the trash",
        "insert into trash (location, due) select location, 1 from object where digest = {large}",
        YES,
        Kind.LIVE_TRASH,
    ),
    damage(
        "trash that is none",
        "insert into trash (location, due) values ('../../etc/passwd', 1)",
        YES,
        Kind.MALFORMED,
    ),
    damage("upload without bytes", lose_upload, YES, Kind.LOST_UPLOAD),
    damage("upload with fewer bytes", shorten_upload, YES, Kind.LOST_UPLOAD),
    damage(
        "upload whose location is none",
        "update upload set location = '../x' where state = 1",
        YES,
        Kind.LOST_UPLOAD,
    ),
    damage(
        "upload with more bytes",
        "update upload set size = size + 1 where state = 1",
        YES,
        Kind.LOST_UPLOAD,
    ),
)

OF_BYTES = (*_OBJECTS, *_FILES, *_OTHERS)
