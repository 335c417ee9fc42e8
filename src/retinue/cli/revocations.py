"""The revocation list that a policy names, and what this user has seen of lists before."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

from retinue.cli.problems import BadUsage
from retinue.client.client import Client
from retinue.files import make_folders, write_atomically
from retinue.oci.reference import parse
from retinue.papers.content import Content
from retinue.papers.revocationlist import ListDisowned, Seen, only, verify_list
from retinue.papers.revocations import Revocations
from retinue.papers.revoke import fetch_list
from retinue.policy.model import Policy
from retinue.policy.rules.revocation import objection_to

MAX_STATE = 64 * 1024


class Remembered:
    """The highest version seen of each list, a file for each below $XDG_STATE_HOME/retinue.

    A file that cannot be read is an error: without it, an older list would pass for the newest.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        home = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        self._folder = Path(home) / "retinue" / "revocations"

    def seen(self, name: str) -> Seen | None:
        path = self._path(name)
        try:
            with path.open("rb") as file:
                found = json.loads(file.read(MAX_STATE))
            return Seen(int(found["version"]), str(found["fingerprint"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as problem:
            raise BadUsage(
                f"{path} cannot be read", "remove it to forget which version was seen"
            ) from problem

    def remember(self, name: str, seen: Seen) -> None:
        """Another process may have seen a later one meanwhile: that stays."""
        known = self.seen(name)
        if known is not None and known.version >= seen.version:
            return
        make_folders(self._folder)
        text = json.dumps(
            {"list": name, "version": seen.version, "fingerprint": seen.fingerprint}, indent=1
        )
        write_atomically(self._path(name), text.encode())

    def _path(self, name: str) -> Path:
        return self._folder / f"{sha256(name.encode()).hexdigest()}.json"


async def fetch(reached: Client, policy: Policy) -> Revocations | None:
    """The newest list that the policy names; None: it names none, or there is none yet.

    Raises ListProblem, EvidenceError, and what the client raises: a list that cannot be seen is no
    empty one.
    """
    asked = policy.revocation
    if asked is None or asked.list is None:
        return None
    place = parse(asked.list)
    store = reached.remote(place.host, place.repository)
    return await fetch_list(store, asked.list, partial(verified, policy), Remembered())


async def latest(reached: Client, policy: Policy) -> Revocations | None:
    """The version that the next one follows; None: there is none yet.

    Its signer's key may have ended since: the next version is signed with another one. If it was
    compromised, what that version left out must not be left out for ever. Raises ListDisowned then,
    and what `fetch` raises.
    """
    asked = policy.revocation
    assert asked is not None
    assert asked.list is not None
    place = parse(asked.list)
    store = reached.remote(place.host, place.repository)
    return await fetch_list(store, asked.list, partial(_continued, policy), Remembered())


def _continued(policy: Policy, bundle: Content) -> Revocations:
    asked = policy.revocation
    assert asked is not None
    assert asked.list is not None
    found = verify_list(bundle, asked.list, only(policy.trust, asked.revokers))
    against = objection_to(policy, found, datetime.now(UTC))
    if against is not None and _is_compromised(policy, found):
        reason = f"version {found.version}: its signature {against}"
        remedy = "remove it and what follows it, or begin a list elsewhere"
        raise ListDisowned(asked.list, f"{reason}; {remedy}")
    return found


def _is_compromised(policy: Policy, found: Revocations) -> bool:
    by = found.signed
    keys = [policy.keys.get((name, by.key or "")) for name in by.anchors] if by else []
    return any(key is not None and key.compromised for key in keys)


def verified(policy: Policy, bundle: Content) -> Revocations:
    """A version that a revoker has signed, with a key that counts now.

    Raises EvidenceError, ListDisowned.
    """
    asked = policy.revocation
    assert asked is not None
    assert asked.list is not None
    found = verify_list(bundle, asked.list, only(policy.trust, asked.revokers))
    against = objection_to(policy, found, datetime.now(UTC))
    if against is not None:
        raise ListDisowned(asked.list, f"version {found.version}: its signature {against}")
    return found
