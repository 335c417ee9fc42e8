"""Exit codes, and which error ends a command with which. Rows are text: nothing is imported."""

from collections.abc import Iterator, Mapping

from retinue.cli.output import note
from retinue.cli.render import clean
from retinue.errors import RetinueError
from retinue.wire.masks import masked

DONE = 0
FAILED = 1
USAGE = 2
MISSING = 3
DENIED = 4
UNREACHABLE = 5
WRONG_CONTENT = 6
BLIND = 7
CONFLICT = 8
UNSUPPORTED = 9
LOCAL = 10
REFUSED = 11
NO_PAPERS = 12
INTERRUPTED = 130

MEANINGS: Mapping[int, str] = {
    DONE: "done",
    FAILED: "the command ran, and its answer is no: damage was found, or something else failed",
    USAGE: "the command line, a reference or an option is wrong",
    MISSING: "what was asked for does not exist; the registry said so",
    DENIED: "credentials are missing or wrong, or this account may not do it",
    UNREACHABLE: "the registry or the database cannot be reached, is too busy, or failed; repeating may help",
    WRONG_CONTENT: "bytes are not what they should be: a digest, a manifest, an archive or a signature is wrong",
    BLIND: "could not look everywhere: what was not found may exist all the same",
    CONFLICT: "somebody else changed it meanwhile, or something still needs it",
    UNSUPPORTED: "the other side, the format or this installation has no way to do it",
    LOCAL: "a file, folder or port of this machine cannot be used",
    REFUSED: "the policy refuses: there are papers, and they do not show what was asked for",
    NO_PAPERS: "the policy refuses: there are no papers, and it could be looked everywhere",
    INTERRUPTED: "interrupted with Ctrl-C",
}

CODES: Mapping[str, int] = {
    "retinue.attest.errors.AnswerRefused": WRONG_CONTENT,
    "retinue.attest.errors.EvidenceError": WRONG_CONTENT,
    "retinue.attest.errors.KeyUnusable": LOCAL,
    "retinue.attest.errors.Malformed": WRONG_CONTENT,
    "retinue.attest.errors.NoAnchor": REFUSED,
    "retinue.attest.errors.Refused": WRONG_CONTENT,
    "retinue.attest.errors.SignerFailed": UNREACHABLE,
    "retinue.attest.errors.WrongPassword": DENIED,
    "retinue.attest.predicates.pointer.InvalidPointer": USAGE,
    "retinue.attest.root.RootInvalid": WRONG_CONTENT,
    "retinue.cli.problems.BadUsage": USAGE,
    "retinue.cli.problems.Declined": FAILED,
    "retinue.cli.problems.Missing": MISSING,
    "retinue.cli.problems.Occupied": LOCAL,
    "retinue.client.closure.CopyError": FAILED,
    "retinue.client.closure.NotWhole": MISSING,
    "retinue.client.closure.PapersInTheWay": CONFLICT,
    "retinue.client.closure.PapersStay": UNSUPPORTED,
    "retinue.client.closure.PapersUnseen": BLIND,
    "retinue.client.closure.PlatformUnknown": MISSING,
    "retinue.client.closure.ReferenceUnknown": MISSING,
    "retinue.client.connection.Broken": UNREACHABLE,
    "retinue.client.connection.LengthMismatch": WRONG_CONTENT,
    "retinue.client.credentials.credential.CredentialsUnreadable": LOCAL,
    "retinue.client.errors.ClientError": FAILED,
    "retinue.client.errors.Forbidden": DENIED,
    "retinue.client.errors.LocalAddress": UNREACHABLE,
    "retinue.client.errors.NotFound": MISSING,
    "retinue.client.errors.PreconditionFailed": CONFLICT,
    "retinue.client.errors.ProtocolViolation": WRONG_CONTENT,
    "retinue.client.errors.RateLimited": UNREACHABLE,
    "retinue.client.errors.Refused": FAILED,
    "retinue.client.errors.ServerFault": UNREACHABLE,
    "retinue.client.errors.StrangersChallenge": WRONG_CONTENT,
    "retinue.client.errors.TlsProblem": UNREACHABLE,
    "retinue.client.errors.Unauthorized": DENIED,
    "retinue.client.errors.Unreachable": UNREACHABLE,
    "retinue.client.errors.Unsupported": UNSUPPORTED,
    "retinue.client.fallback.FallbackRace": CONFLICT,
    "retinue.client.fallback.NoFallback": CONFLICT,
    "retinue.client.http1.MalformedAnswer": WRONG_CONTENT,
    "retinue.client.http1.UnsendableRequest": USAGE,
    "retinue.client.layout.LayoutError": LOCAL,
    "retinue.crypt.errors.CryptError": FAILED,
    "retinue.crypt.errors.MalformedOptions": WRONG_CONTENT,
    "retinue.crypt.errors.NoKeyFits": DENIED,
    "retinue.crypt.errors.NotEncryptable": UNSUPPORTED,
    "retinue.crypt.errors.RecipientUnusable": LOCAL,
    "retinue.crypt.errors.Tampered": WRONG_CONTENT,
    "retinue.devstack.errors.NotGiven": USAGE,
    "retinue.devstack.errors.NotLoopback": USAGE,
    "retinue.devstack.errors.StateUnusable": LOCAL,
    "retinue.files.UnsafePath": LOCAL,
    "retinue.gates.admission.BadReview": WRONG_CONTENT,
    "retinue.gates.containerd.BadCall": USAGE,
    "retinue.gates.server.TlsUnusable": LOCAL,
    "retinue.layers.tar.NoLayerFile": LOCAL,
    "retinue.oci.convert.NotExportable": UNSUPPORTED,
    "retinue.oci.digest.InvalidDigest": USAGE,
    "retinue.oci.manifest.Unreadable": WRONG_CONTENT,
    "retinue.oci.platform.InvalidPlatform": USAGE,
    "retinue.oci.reference.InvalidReference": USAGE,
    "retinue.oci.resolve.NoPointerEnd": WRONG_CONTENT,
    "retinue.oci.stores.BlobMissing": MISSING,
    "retinue.oci.stores.ContentMissing": MISSING,
    "retinue.oci.stores.DigestMismatch": WRONG_CONTENT,
    "retinue.oci.stores.StillLinked": CONFLICT,
    "retinue.oci.stores.TagMoved": CONFLICT,
    "retinue.oci.walk.Incomplete": MISSING,
    "retinue.oci.walk.TooMany": UNSUPPORTED,
    "retinue.papers.append.NoSuchTag": UNSUPPORTED,
    "retinue.papers.append.TagContested": CONFLICT,
    "retinue.papers.append.TagTaken": CONFLICT,
    "retinue.papers.content.TooLong": WRONG_CONTENT,
    "retinue.papers.embed.NotEmbeddable": UNSUPPORTED,
    "retinue.papers.revocationlist.ListDisowned": WRONG_CONTENT,
    "retinue.papers.revocationlist.ListForked": WRONG_CONTENT,
    "retinue.papers.revocationlist.ListLost": WRONG_CONTENT,
    "retinue.papers.revocationlist.ListProblem": WRONG_CONTENT,
    "retinue.papers.revocationlist.ListRolledBack": WRONG_CONTENT,
    "retinue.policy.errors.ExtraMissing": UNSUPPORTED,
    "retinue.policy.errors.ImportRefused": UNSUPPORTED,
    "retinue.policy.errors.PolicyInvalid": USAGE,
    "retinue.registry.access.htpasswd.BadUsers": USAGE,
    "retinue.registry.access.rules.BadRule": USAGE,
    "retinue.registry.catalog.db.CatalogBusy": UNREACHABLE,
    "retinue.registry.catalog.db.CatalogUnavailable": UNREACHABLE,
    "retinue.registry.catalog.db.ConstraintViolated": FAILED,
    "retinue.registry.catalog.localdisk.NetworkFilesystem": LOCAL,
    "retinue.registry.catalog.leases.Superseded": UNREACHABLE,
    "retinue.registry.catalog.manifests.BeingDeleted": UNREACHABLE,
    "retinue.registry.catalog.meta.MetaMissing": WRONG_CONTENT,
    "retinue.registry.catalog.migrate.ForeignData": LOCAL,
    "retinue.registry.catalog.migrate.MigrationEdited": WRONG_CONTENT,
    "retinue.registry.catalog.migrate.MigrationsBroken": FAILED,
    "retinue.registry.catalog.migrate.SchemaTooNew": UNSUPPORTED,
    "retinue.registry.catalog.opening.DatabaseMalformed": USAGE,
    "retinue.registry.catalog.opening.DatabaseUnknown": USAGE,
    "retinue.registry.catalog.opening.DriverMissing": UNSUPPORTED,
    "retinue.registry.catalog.readonly.CatalogReadOnly": LOCAL,
    "retinue.registry.catalog.sqlite.LibraryTooOld": UNSUPPORTED,
    "retinue.registry.config.BadOption": USAGE,
    "retinue.registry.config.UnknownOption": USAGE,
    "retinue.registry.config.UnreadableFile": LOCAL,
    "retinue.registry.http.listening.AddressTaken": LOCAL,
    "retinue.registry.http.listening.AddressUnusable": LOCAL,
    "retinue.registry.http.traces.TracingMissing": UNSUPPORTED,
    "retinue.registry.storage.blobstore.CopyLost": WRONG_CONTENT,
    "retinue.registry.storage.blobstore.StorageFailed": LOCAL,
    "retinue.registry.storage.blobstore.StorageFull": LOCAL,
    "retinue.registry.storage.blobstore.UploadBusy": CONFLICT,
    "retinue.registry.storage.blobstore.UploadLost": MISSING,
    "retinue.registry.storage.copying.CopyDamaged": WRONG_CONTENT,
    "retinue.registry.storage.places.InvalidPlace": WRONG_CONTENT,
    "retinue.registry.storage.unfinished.RestoreUnfinished": LOCAL,
    "retinue.registry.storage.identity.ForeignStore": LOCAL,
    "retinue.registry.upkeep.identity.BlobsMissing": LOCAL,
    "retinue.registry.upkeep.identity.CatalogMissing": LOCAL,
    "retinue.registry.upkeep.misses.TooManyMisses": LOCAL,
    "retinue.registry.upkeep.identity.FolderTaken": LOCAL,
    "retinue.registry.upkeep.backup.HoldLost": CONFLICT,
    "retinue.registry.upkeep.backup.TargetNotEmpty": LOCAL,
    "retinue.registry.upkeep.restore.NoBackup": LOCAL,
    "retinue.registry.upkeep.restore.OtherDatabase": USAGE,
    "retinue.strictjson.InvalidJson": WRONG_CONTENT,
    "retinue.wire.challenge.MalformedChallenge": WRONG_CONTENT,
    "retinue.wire.paging.InvalidPage": WRONG_CONTENT,
    "retinue.wire.ranges.MalformedRange": WRONG_CONTENT,
    "retinue.wire.ranges.Unsatisfiable": WRONG_CONTENT,
}


def code_of(problem: BaseException) -> int:
    """The exit code of an error: its class's row, else that of the closest class above it."""
    for kind in type(problem).__mro__:
        code = CODES.get(f"{kind.__module__}.{kind.__qualname__}")
        if code is not None:
            return code
    return LOCAL if isinstance(problem, OSError) else FAILED


def report(problem: BaseException) -> int:
    """Say on standard error what was wrong and what to do, in a line; returns the exit code.

    Several tasks may fail together: the first failure is told, and how many there are besides.
    An error that is not ours is a defect, and raised again.
    """
    first, *more = leaves(problem)
    for each in (first, *more):
        if not isinstance(each, RetinueError | OSError):
            raise problem
    besides = f" (and {len(more)} more)" if more else ""
    note(f"retinue: {_text(first)}{besides}")
    return code_of(first)


def leaves(problem: BaseException) -> Iterator[BaseException]:
    """The errors inside of groups of errors, in order."""
    if not isinstance(problem, BaseExceptionGroup):
        yield problem
        return
    for inner in problem.exceptions:
        yield from leaves(inner)


def _text(problem: BaseException) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        where = f"{problem.filename}: " if problem.filename else ""
        return f"{where}{problem.strerror.lower()}"
    return clean(masked(" ".join(str(problem).split())))
