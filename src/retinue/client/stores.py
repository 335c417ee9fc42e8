"""What a copy goes into."""

from typing import Protocol

from retinue.oci.stores import Sink, Source


class Store(Source, Sink, Protocol):
    """A repository that can be written, and looked at afterwards."""
