"""Running hashes of uploads, kept between the requests that bring their parts.

The state of a hash cannot be moved to another process (storage rule 5). So the process that took
the last part keeps it, and goes on with it where the next part comes here too; elsewhere the bytes
are read again in the end.
"""

from collections import OrderedDict
from threading import Lock

from retinue.oci import digest as digests
from retinue.oci.digest import Digest, Hash

MOST = 4096
"""Uploads whose hash is kept, of about half a kilobyte each: the ones that were used last."""


class RunningHashes:
    """By session. From any thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._hashes: OrderedDict[str, Hash] = OrderedDict()
        self._lock = Lock()

    def put(self, session: str, running: Hash) -> None:
        with self._lock:
            self._hashes[session] = running
            self._hashes.move_to_end(session)
            if len(self._hashes) > self._most:
                self._hashes.popitem(last=False)

    def take(self, session: str, reached: Digest | None) -> Hash | None:
        """The hash of a session, if it stands at `reached`; it is not kept any longer.

        What was recorded decides: of two processes that took parts, one has an old hash.
        """
        with self._lock:
            running = self._hashes.pop(session, None)
        if running is None or reached is None:
            return None
        return running if running.hexdigest() == digests.encoded(reached) else None
