"""Memory of bodies."""

import subprocess
import sys

FAULTS = """
import resource, sys
from retinue.registry.http import memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use():
    return [bytes(1) * (1 << 20) for _ in range(4)]

if sys.argv[1] == "kept":
    memory.keep()
use()
before = faults()
for _ in range(50):
    use()
print(faults() - before)
"""


def faults(word: str) -> int:
    return int(subprocess.check_output([sys.executable, "-c", FAULTS, word]))


def test_memory_that_was_used_is_used_again() -> None:
    assert faults("kept") < 1000 < faults("as it comes")
