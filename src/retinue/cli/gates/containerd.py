"""`retinue gate containerd`: an image verifier of containerd.

containerd calls every program in its folder of verifiers with these options and
the image's descriptor on standard input. Put a script there, executable and
writable by root alone:

  #!/bin/sh
  exec /usr/bin/retinue gate containerd --policy /etc/retinue/policy.toml "$@"

Exit code 0 allows; the reason is on standard output. See: retinue gate doctor
"""

import argparse
import sys
from typing import TYPE_CHECKING

from msgspec.structs import replace

from retinue.cli.gates import asked
from retinue.cli.output import say

if TYPE_CHECKING:
    from retinue.cli.gates.judging import Judging
    from retinue.gates.containerd import Call
    from retinue.gates.judging import Answer
    from retinue.policy.decision import Decision


def arguments(parser: argparse.ArgumentParser) -> None:
    asked.judging(parser, 8)
    group = parser.add_argument_group("what containerd says")
    group.add_argument("-name", metavar="REFERENCE", required=True, help="what was asked for")
    group.add_argument("-digest", metavar="DIGEST", required=True, help="what it is")
    group.add_argument("-stdin-media-type", metavar="TYPE", required=True, help="of the input")
    group.add_argument("-operation", metavar="OPERATION", default="pull", help="pull, or run")


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.errors import RetinueError
    from retinue.gates import containerd

    try:
        stdin = sys.stdin.buffer.read(containerd.MAX_STDIN + 1)
        call = containerd.read(args.name, args.digest, args.stdin_media_type, stdin)
        answer = asyncio.run(_ask(args, call))
    except (RetinueError, OSError) as problem:
        say(f"not judged, so refused: {' '.join(str(problem).split())}"[: containerd.MAX_REASON])
        return containerd.REFUSED
    code, reason = containerd.verdict(answer)
    say(reason)
    return code


async def _ask(args: argparse.Namespace, call: "Call") -> "Answer":
    from retinue.cli.gates.judging import Judging
    from retinue.cli.reach import guarded
    from retinue.gates.judging import ask

    async with guarded(args) as reached:
        judge = Judging(reached, args.policy)

        async def about(_: str) -> "Decision":
            return await _judge(judge, call)

        answers = await ask(about, [call.name], args.deadline)
        return answers[call.name]


async def _judge(judge: "Judging", call: "Call") -> "Decision":
    """What containerd resolved is what is judged. Where a policy wants tags signed the tag is judged
    too, and must still be that digest."""
    from retinue.gates.containerd import BadCall
    from retinue.oci.reference import parse

    asked = parse(call.name)
    if asked.digest is not None and asked.digest != call.digest:
        raise BadCall("-name", f"{call.name} names another digest than {call.digest}")
    if asked.digest is None and await judge.wants_tags():
        decision = await judge.about(asked)
        if decision.digest != call.digest:
            raise BadCall("-digest", f"{call.name} is {decision.digest} by now, not {call.digest}")
        return decision
    return await judge.about(replace(asked, digest=call.digest))
