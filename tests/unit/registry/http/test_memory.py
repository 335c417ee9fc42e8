"""Memory of bodies."""

import subprocess
import sys

USED_AGAIN = """
import resource
from retinue.registry.http import memory

memory.keep()
bytes(1) * (3 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    bytes(1) * (3 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_memory_that_was_used_is_used_again() -> None:
    """Each of these would else be 768 pages that the system hands out anew."""
    faults = int(subprocess.check_output([sys.executable, "-c", USED_AGAIN]))
    assert faults < 768
