"""What can be wrong with a policy, or with one that is brought along from another tool."""

from retinue.errors import RetinueError


class PolicyInvalid(RetinueError):
    """A policy that cannot be used. `field` is the path of what is wrong: `rule[0].signatures.k`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"policy: {field}: {reason}")
        self.field = field
        self.reason = reason


class ExtraMissing(PolicyInvalid):
    """A policy asks for what this installation has no package for."""

    def __init__(self, field: str, package: str, extra: str) -> None:
        super().__init__(
            field, f"needs {package}: install it with `pip install 'retinue[{extra}]'`"
        )
        self.extra = extra


class ImportRefused(RetinueError):
    """A foreign policy says what cannot be said here; nothing is imported rather than a part of it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"cannot import {field}: {reason}")
        self.field = field
        self.reason = reason
