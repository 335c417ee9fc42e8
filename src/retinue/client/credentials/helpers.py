"""Credential helpers: programs `docker-credential-NAME` that speak over stdin and stdout.

Protocol: docker-credential-helpers README, "Development".
"""

import json
import re
import subprocess
from collections.abc import Mapping

from retinue.client.credentials.credential import (
    Credential,
    CredentialsUnreadable,
    IdentityToken,
    Password,
)

TIMEOUT = 60
"""Seconds that a helper may take; some ask the user something."""
TOKEN_USER = "<token>"  # noqa: S105 - the name that says that the secret is an identity token
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_MISSING = "credentials not found"


class Helper:
    """One helper program, found on the PATH of `environ`."""

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        if not _NAME.fullmatch(name):
            raise CredentialsUnreadable(f"helper {name[:80]!r}", "its name is not allowed")
        self.program = f"docker-credential-{name}"
        self._environ = dict(environ)

    def get(self, server: str) -> Credential | None:
        """None when the helper says that it has none; raises CredentialsUnreadable."""
        status, output = self._run("get", server)
        if status:
            if _MISSING in output.lower():
                return None
            raise CredentialsUnreadable(self.program, f"`get` failed: {output[:300]}")
        return self._read(output)

    def store(self, server: str, credential: Credential) -> None:
        user, secret = _pair(credential)
        entry = {"ServerURL": server, "Username": user, "Secret": secret}
        self._must("store", json.dumps(entry))

    def erase(self, server: str) -> None:
        self._must("erase", server)

    def _read(self, output: str) -> Credential:
        try:
            document = json.loads(output)
            user, secret = document["Username"], document["Secret"]
        except (ValueError, KeyError, TypeError) as problem:
            why = "`get` printed no JSON with Username and Secret"
            raise CredentialsUnreadable(self.program, why) from problem
        if not isinstance(user, str) or not isinstance(secret, str):
            raise CredentialsUnreadable(self.program, "Username and Secret must be text")
        return IdentityToken(secret) if user == TOKEN_USER else Password(user, secret)

    def _must(self, action: str, text: str) -> None:
        status, output = self._run(action, text)
        if status:
            raise CredentialsUnreadable(self.program, f"`{action}` failed: {output[:300]}")

    def _run(self, action: str, text: str) -> tuple[int, str]:
        try:
            done = subprocess.run(  # noqa: S603 - a program that the user configured, no shell
                [self.program, action],
                input=text.encode(),
                capture_output=True,
                timeout=TIMEOUT,
                env=self._environ,
                check=False,
            )
        except FileNotFoundError as problem:
            raise CredentialsUnreadable(self.program, "it is not on the PATH") from problem
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise CredentialsUnreadable(self.program, f"`{action}`: {problem}") from problem
        output = done.stdout if action == "get" or done.stdout else done.stderr
        return done.returncode, output.decode("utf-8", "replace").strip()


def _pair(credential: Credential) -> tuple[str, str]:
    if isinstance(credential, Password):
        return credential.username, credential.secret
    return TOKEN_USER, credential.token
