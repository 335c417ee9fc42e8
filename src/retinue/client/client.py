"""The way in: stores by the references that users type, over one transport."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, assert_never

from retinue.client.remote import Remote
from retinue.client.session import Lookup, Session
from retinue.client.stores import Store
from retinue.client.transport import Transport
from retinue.oci.reference import DockerArchive, Layout, Location, OciArchive, Reference
from retinue.oci.stores import Source


class Client:
    """Within one event loop; `async with` closes the connections.

    `brief`: of a program that ends soon. What authorises it is then found out once for each
    repository, and not again for each store.
    """

    def __init__(self, transport: Transport, credentials: Lookup, *, brief: bool = False) -> None:
        self.transport = transport
        self._credentials = credentials
        self._sessions: dict[tuple[str, str], Session] | None = {} if brief else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.transport.__aexit__(*failure)

    def remote(self, host: str, name: str) -> Remote:
        return Remote(self._session(host, name), name)

    def _session(self, host: str, name: str) -> Session:
        made = Session(self.transport, host, name, self._credentials)
        return made if self._sessions is None else self._sessions.setdefault((host, name), made)

    def registry(self, host: str) -> Session:
        """For what concerns a whole registry: see `retinue.client.registry`."""
        return Session(self.transport, host, None, self._credentials)

    @asynccontextmanager
    async def source(self, location: Location) -> AsyncIterator[Source]:
        """Where a location is read from; raises LayoutError for files that cannot be."""
        match location:
            case Reference():
                yield self.remote(location.host, location.repository)
            case Layout():
                from retinue.client.layout_folder import open_layout

                async with open_layout(Path(location.path), make=False) as layout:
                    yield layout
            case OciArchive():
                from retinue.client.archive import read_oci_archive

                async with read_oci_archive(Path(location.path)) as archive:
                    yield archive
            case DockerArchive():
                from retinue.client.docker_archive import read_docker_archive

                async with read_docker_archive(Path(location.path)) as saved:
                    yield saved
            case _:
                assert_never(location)

    @asynccontextmanager
    async def sink(self, location: Location, *, image: str = "image") -> AsyncIterator[Store]:
        """Where a location is written to; what was written counts once the block ends well.

        `image` is the repository name that tags get inside of a docker-archive.
        """
        match location:
            case Reference():
                yield self.remote(location.host, location.repository)
            case Layout():
                from retinue.client.layout_folder import open_layout

                async with open_layout(Path(location.path), make=True) as layout:
                    yield layout
            case OciArchive():
                from retinue.client.archive import write_oci_archive

                async with write_oci_archive(Path(location.path)) as archive:
                    yield archive
            case DockerArchive():
                from retinue.client.docker_archive import write_docker_archive

                async with write_docker_archive(Path(location.path), image) as saved:
                    yield saved
            case _:
                assert_never(location)


def mount_from(source: Location, sink: Location) -> str | None:
    """The repository that the sink's registry can mount blobs from, for `copy`."""
    if not isinstance(source, Reference) or not isinstance(sink, Reference):
        return None
    elsewhere = source.repository != sink.repository
    return source.repository if source.host == sink.host and elsewhere else None
