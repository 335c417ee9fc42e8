"""`retinue login`: check credentials with a registry, then keep them.

The password is asked for without showing it, or read from standard input with
--password-stdin; never is it an argument, where other users could see it.

It is kept where Docker keeps it: by the credential helper that config.json
names, else in $DOCKER_CONFIG/config.json (default ~/.docker), readable by you
alone. $REGISTRY_AUTH_FILE names another file, as podman does.

  retinue login registry.example.com -u ada
  retinue login registry.example.com -u ada --password-stdin < secret
"""

import argparse
import os
import sys

from retinue.cli import options
from retinue.cli.problems import BadUsage
from retinue.cli.render import emit

MAX_PASSWORD = 64 * 1024
"""Bytes of a password from standard input; tokens of some clouds have several thousand."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST[:PORT]", help="the registry")
    parser.add_argument("-u", "--username", help="asked for when it is not given")
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.client.credentials.credential import Password
    from retinue.client.credentials.files import login

    host = host_of(args.host)
    credential = Password(_username(args), _password(args))
    asyncio.run(_verify(host, credential, args))
    path = login(host, credential, os.environ)
    emit(
        {"host": host, "username": credential.username, "kept_in": str(path)},
        f"logged in to {host} as {credential.username}; kept by {path}",
        as_json=args.json,
    )
    return 0


def host_of(text: str) -> str:
    """A registry's host from what the user typed; an URL and a path are refused, not guessed."""
    from retinue.oci.reference import InvalidReference, parse

    try:
        reference = parse(f"{text}/x")
    except InvalidReference:
        reference = None
    if reference is None or reference.repository not in {"x", "library/x"} or "/" in text:
        raise BadUsage(f"{text[:160]!r} is no registry", "give HOST or HOST:PORT, without a path")
    return reference.host


def _username(args: argparse.Namespace) -> str:
    name: str | None = args.username
    if name is None and not args.password_stdin and sys.stdin.isatty():
        name = input("Username: ").strip()
    if not name:
        raise BadUsage("no username", "give it with --username")
    if ":" in name:
        raise BadUsage("a username cannot contain a colon", "the registry would not accept it")
    return name


def _password(args: argparse.Namespace) -> str:
    if args.password_stdin:
        text = sys.stdin.read(MAX_PASSWORD + 1)
        if len(text) > MAX_PASSWORD:
            raise BadUsage("the password is too long", f"at most {MAX_PASSWORD} characters work")
        secret = text.removesuffix("\n").removesuffix("\r")
    elif sys.stdin.isatty():
        from getpass import getpass

        secret = getpass("Password: ")
    else:
        raise BadUsage("no terminal to ask for the password", "use --password-stdin")
    if not secret:
        raise BadUsage("the password is empty", "type it, or pipe it in with --password-stdin")
    return secret


async def _verify(host: str, credential: object, args: argparse.Namespace) -> None:
    """Raises Unauthorized when the registry does not accept the credential."""
    from base64 import b64encode

    from retinue.cli.reach import transport
    from retinue.client.credentials.credential import Password
    from retinue.client.session import Session
    from retinue.wire import paths

    assert isinstance(credential, Password)
    async with transport(args) as reached:
        session = Session(reached, host, None, lambda _host, _repository: credential)
        answer = await session.request("GET", paths.BASE)
        if answer.status == 200:
            # Who is let in without a name has not been asked for one: show the credential too.
            pair = b64encode(f"{credential.username}:{credential.secret}".encode()).decode()
            headers = {"authorization": f"Basic {pair}"}
            answer = await session.request("GET", paths.BASE, headers=headers)
        if answer.status != 200:
            raise session.refusal(answer, "the login")
