class RetinueError(Exception):
    """Root of every error that Retinue raises on purpose.

    Subclasses carry fields, not prose; `str()` says what was wrong, with which value, and what to
    do. Each edge (HTTP, command line) maps classes to its own codes in one table.
    """
