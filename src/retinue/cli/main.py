"""The command line: a table of verbs, each imported only when it is called."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from retinue import __version__
from retinue.cli.output import note, say

if TYPE_CHECKING:
    from retinue.cli.options import Parser


class Verb(NamedTuple):
    """`module` has `arguments(parser)` and `run(args) -> int`. No dataclass: that costs 15 ms."""

    group: str
    module: str
    help: str


GROUPS = {
    "images": "Images and their papers (signatures, SBOMs, provenance)",
    "trust": "Trust",
    "operate": "Running a registry",
    "plumbing": "Plumbing",
}

VERBS = {
    "login": Verb("images", "login", "log in to a registry"),
    "logout": Verb("images", "logout", "forget a registry's credentials"),
    "push": Verb("images", "push", "push files, a folder as an image, or a stored image"),
    "pull": Verb("images", "pull", "pull an image with its papers, or an artifact's files"),
    "copy": Verb("images", "copy", "copy an image with its papers anywhere"),
    "tag": Verb("images", "tag", "give an image more tags"),
    "delete": Verb("images", "delete", "delete a tag, or an image with its papers"),
    "list": Verb("images", "list", "list repositories, or the tags of one"),
    "tree": Verb("images", "tree", "draw an image and all papers attached to it"),
    "inspect": Verb("images", "inspect", "show a manifest: type, parts, subject, size"),
    "attach": Verb("images", "attach", "attach files to an image as a paper"),
    "attach signature": Verb("images", "attaching.signature", "attach a signature made elsewhere"),
    "attach attestation": Verb(
        "images", "attaching.attestation", "attach attestations signed elsewhere"
    ),
    "attach recipient": Verb(
        "images", "attaching.recipient", "let one more key open an encrypted image"
    ),
    "attach sbom": Verb("images", "attaching.sbom", "attach an SBOM as it is, unsigned"),
    "download": Verb("images", "download", "download what an image's papers hold"),
    "download signature": Verb("images", "downloading.signature", "print an image's signatures"),
    "download attestation": Verb(
        "images", "downloading.attestation", "print an image's attestations"
    ),
    "download sbom": Verb("images", "downloading.sbom", "print an image's SBOM"),
    "convert": Verb("images", "convert", "make generic objects of images, and images of them"),
    "sign": Verb("trust", "sign", "sign images"),
    "attest": Verb("trust", "attest", "say something about images (SBOM, provenance), signed"),
    "verify": Verb("trust", "verify", "check an image's papers"),
    "revoke": Verb("trust", "revoke", "what a signer said no longer counts"),
    "promote": Verb("trust", "promote", "copy an image if a policy says yes"),
    "policy": Verb("trust", "policy.verbs", "check, explain, report and import policies"),
    "key": Verb("trust", "key.verbs", "make, import and show signing keys"),
    "serve": Verb("operate", "serve", "run a registry"),
    "admin": Verb("operate", "admin.verbs", "gc, fsck, backup, restore, config"),
    "gate": Verb("plumbing", "gate", "answer for Kubernetes, Gatekeeper or containerd"),
    "dev-stack": Verb("plumbing", "dev_stack", "run a signing infrastructure for development"),
    "completion": Verb("plumbing", "completion", "print a completion script for your shell"),
    "version": Verb("plumbing", "version", "print the version"),
}

HIDDEN = {
    "generate-key-pair": Verb("trust", "key.generate", "make a new key pair"),
    "import-key-pair": Verb("trust", "key.take", "encrypt a private key made elsewhere"),
    "public-key": Verb("trust", "key.public", "print the public key of a key"),
    "clean": Verb("images", "cosign.clean", "delete an image's papers of a type"),
    "load": Verb("images", "cosign.load", "copy an image with its papers from a folder"),
    "save": Verb("images", "cosign.save", "copy an image with its papers into a folder"),
    "triangulate": Verb("images", "cosign.triangulate", "print where cosign keeps papers"),
    "verify-attestation": Verb("trust", "cosign.verify_attestation", "check an attestation"),
}
"""cosign's names for what has another one here; they work, and no list shows them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is documented in docs/reference/exit-codes.md."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in {"-h", "--help", "help"}:
        return _help(words[1:])
    if words[0] in {"-V", "--version"}:
        words[0] = "version"
    name, rest = _named(words)
    verb = VERBS.get(name) or HIDDEN.get(name)
    if verb is None:
        note(_unknown(name))
        return 2
    return _run(name, verb, rest)


def _named(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The verb, of one word or two, and what follows it. `attach any` is plain `attach`."""
    if words[:2] == ["attach", "any"]:
        return "attach", words[2:]
    two = " ".join(words[:2])
    return (two, words[2:]) if two in VERBS else (words[0], words[1:])


def _help(words: Sequence[str]) -> int:
    if words and _named(words)[0] in VERBS:
        return main([*words, "--help"])
    say(overview())
    return 0


def overview() -> str:
    """What `retinue --help` prints: the verbs by task."""
    lines = [
        f"Retinue {__version__}: a registry and a tool that keep images and their papers together.",
        "",
        "Usage: retinue VERB ...      more about one: retinue VERB --help",
    ]
    for group, title in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {n:<12}{v.help}" for n, v in VERBS.items() if _shown(n, v, group)]
    lines += [
        "",
        "An image is named by HOST/REPOSITORY[:TAG|@DIGEST], oci:DIR[:TAG],",
        "oci-archive:FILE or docker-archive:FILE.",
    ]
    return "\n".join(lines)


def _shown(name: str, verb: Verb, group: str) -> bool:
    """Verbs of two words are in the help of the first."""
    return verb.group == group and " " not in name


def _unknown(word: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, VERBS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "see: retinue --help"
    return f"retinue: there is no verb {word!r}; {hint}"


def parser_of(name: str) -> "Parser":
    """The argument parser of one verb."""
    from retinue.cli.options import Parser

    verb = VERBS.get(name) or HIDDEN[name]
    module = import_module(f"retinue.cli.{verb.module}")
    parser = Parser(f"retinue {name}", verb.help, module.__doc__ or "")
    module.arguments(parser)
    return parser


def _run(name: str, verb: Verb, words: Sequence[str]) -> int:
    import gc

    from retinue.errors import RetinueError

    if verb.group in {"images", "trust"}:
        # Short programs make few cycles; looking for them takes a tenth of the time.
        gc.set_threshold(50_000, 20, 100)
    try:
        args = parser_of(name).parse_args(words)
        code: int = import_module(f"retinue.cli.{verb.module}").run(args)
        sys.stdout.flush()
        gc.freeze()  # the process ends: going through all objects once more frees nobody's memory
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _left_early()
    except (RetinueError, OSError, BaseExceptionGroup) as problem:
        from retinue.cli.exits import report

        return report(problem)
    return code


def _left_early() -> int:
    """The reader of our output left, as `head` does; what is still buffered goes nowhere."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
