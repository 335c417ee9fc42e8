"""Which worker is started, kept, stopped and killed, step by step: without a process."""

from dataclasses import dataclass, field

import pytest

from retinue.registry.http.supervision import EARLY, FIRST_TRIES, LONGEST_PAUSE, Supervision, pause

PATIENCE = 20.0


@dataclass(eq=False)
class Child:
    pid: int
    place: int
    serves: bool = False
    gone: bool = False
    told: list[str] = field(default_factory=list)

    def ready(self) -> bool:
        return self.serves

    def ended(self) -> bool:
        return self.gone

    def terminate(self) -> None:
        self.told.append("terminate")

    def kill(self) -> None:
        self.told.append("kill")


class World:
    """A supervision, and all children that it ever started."""

    def __init__(self, places: int = 1) -> None:
        self.now = 100.0
        self.children: list[Child] = []
        self.heirs: dict[int, Child] = {}
        self.supervision = Supervision(
            places, self._start, self.heirs.__setitem__, self._deserted, PATIENCE
        )
        self.due = self.supervision.step(self.now)

    def _start(self, place: int) -> Child:
        self.children.append(Child(len(self.children), place))
        return self.children[-1]

    def _deserted(self, place: int) -> None:
        self.heirs.pop(place, None)

    def step(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.due = self.supervision.step(self.now)

    def serve(self) -> None:
        """All that were started say that they serve, until no more are started."""
        for _ in range(100):
            started = [child for child in self.children if not child.serves and not child.gone]
            if not started:
                return
            for child in started:
                child.serves = True
            self.step()
        raise AssertionError("it starts one after the other for ever")

    def end(self, child: Child) -> None:
        child.gone = True
        self.step()

    def end_those_told(self) -> None:
        for child in self.children:
            child.gone = child.gone or bool(child.told)
        self.step()


def served(places: int = 1) -> World:
    world = World(places)
    world.serve()
    world.step(2 * EARLY)
    return world


def test_each_place_gets_a_worker() -> None:
    assert [child.place for child in World(3).children] == [0, 1, 2]


def test_one_that_dies_is_followed_at_once_by_one_that_listens_where_it_did() -> None:
    world = served()
    world.end(world.children[0])
    assert len(world.children) == 2
    assert world.heirs[0] is world.children[0]


def test_one_that_dies_early_again_and_again_is_followed_ever_later() -> None:
    world = World()
    waited = []
    for _ in range(12):
        world.serve()
        started = len(world.children)
        world.end(world.children[-1])
        assert world.heirs == {}, "connections wait where nobody listens"
        waited.append((world.due or world.now) - world.now)
        world.step(waited[-1])
        assert len(world.children) == started + 1
    assert waited == [pause(failures) for failures in range(1, 13)]
    assert waited[-1] == LONGEST_PAUSE
    assert not world.supervision.over


def test_the_old_one_stays_until_the_new_one_serves() -> None:
    world = served()
    old = world.children[0]
    world.supervision.renew()
    world.step()
    for failures in range(1, 20):
        new = world.children[-1]
        assert new is not old
        assert not old.told
        world.end(new)
        assert world.heirs[0] is old
        world.step(pause(failures))
    assert not old.told
    world.serve()
    assert old.told == ["terminate"]
    assert world.heirs[0] is world.children[-1]


def test_places_are_renewed_one_after_the_other() -> None:
    world = served(2)
    world.supervision.renew()
    world.step()
    assert [child.place for child in world.children] == [0, 1, 0]
    world.children[2].serves = True
    world.step()
    assert [child.place for child in world.children] == [0, 1, 0, 1]
    assert not world.children[1].told


def test_a_renewal_that_is_asked_for_while_one_starts_is_another_one() -> None:
    world = served()
    world.supervision.renew()
    world.step()
    world.supervision.renew()
    world.step()
    world.serve()
    assert len(world.children) == 2, "the first has not ended: a place never has three workers"
    world.end_those_told()
    world.serve()
    world.end_those_told()
    assert [child.gone for child in world.children] == [True, True, False]


def test_one_that_does_not_end_in_time_is_killed() -> None:
    world = served()
    world.supervision.renew()
    world.step()
    world.serve()
    assert world.due == world.now + PATIENCE
    world.step(PATIENCE)
    assert world.children[0].told == ["terminate", "kill"]


def test_a_stop_ends_all_also_those_that_start() -> None:
    world = World(2)
    world.children[0].serves = True
    world.step()
    world.supervision.close(world.now)
    world.step()
    assert [child.told for child in world.children] == [["terminate"], ["terminate"]]
    assert world.heirs == {}, "nobody listens any more"
    assert not world.supervision.over
    world.end_those_told()
    assert world.supervision.over
    assert len(world.children) == 2


def test_before_a_stop_load_balancers_get_time_in_which_nothing_is_started() -> None:
    world = served(2)
    world.supervision.close(world.now + 5)
    world.end(world.children[0])
    assert world.due == world.now + 5
    world.step(1)
    assert not world.children[1].told
    world.supervision.close(world.now)
    world.step()
    assert world.children[1].told == ["terminate"]
    assert len(world.children) == 2


@pytest.mark.parametrize("once", [False, True], ids=["never served", "served once"])
def test_a_server_gives_up_only_when_it_never_served(once: bool) -> None:
    world = served() if once else World()
    for _ in range(2 * FIRST_TRIES):
        if not world.supervision.failed:
            world.end(world.children[-1])
            world.step(LONGEST_PAUSE)
    assert world.supervision.failed is not once
