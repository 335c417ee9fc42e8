"""What can be wrong with how a command was called, and with what it found on this machine."""

from retinue.errors import RetinueError


class BadUsage(RetinueError):
    """The words of the command line do not go together; `remedy` says what does."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy


class Missing(RetinueError):
    """What the user named does not exist, with authority."""

    def __init__(self, what: str, where: str, remedy: str) -> None:
        super().__init__(f"there is no {what} in {where}; {remedy}")
        self.what = what
        self.where = where
        self.remedy = remedy


class Occupied(RetinueError):
    """A file of this name is here already, with other content."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} exists with other content; remove it or choose another --output")
        self.path = path


class Declined(RetinueError):
    """Nobody confirmed what cannot be undone."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was not confirmed; give --yes to do it without a question")
        self.what = what
