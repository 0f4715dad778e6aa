"""Determinism: the same seed gives the same frames, in another run and after resuming from a snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from ecs_core.systems import BUILT_IN
from ecs_core.testing import songs
from ecs_core.testing.compare import first_difference
from ecs_core.testing.report import Problem, UnjudgedError
from ecs_core.testing.simulate import simulate, staged
from ecs_core.testing.subject import Subject

_CUTS = (0, 20, 41)  # resume after these of 60 frames
_ESPERS_OWN = {"world", "priority"}


def determinism(subject: Subject) -> Iterator[Problem]:
    """Two runs with the same seed are identical."""
    where = first_difference((subject.pulsing, subject.again))
    if where is not None:
        yield Problem(
            "determinism",
            f"two runs with the same seed differ {where}.",
            "Draw random numbers from self.world.rng(self, entity), never from numpy.random or random; take the time "
            "from Clock, never from time or datetime; never use hash() of a text, which is another in every process; "
            "keep nothing in variables of a module or class, nor in a component that is changed in place.",
        )


def resume(subject: Subject) -> Iterator[Problem]:
    """A run resumed by another process equals an uninterrupted one."""
    kept = _kept_on_systems(subject)
    if kept:
        yield Problem(
            "resume",
            f"systems keep something of their own from frame to frame: {', '.join(kept)}.",
            "It is lost where another process goes on with the render. Keep values of particles in a Column of your "
            "own, settings in a component of the population; never keep views of columns, which are valid for one "
            "frame only.",
        )
        return
    require_determinism(subject)
    whole = subject.pulsing
    for cut in _CUTS:
        _other_work(subject)
        resumed = simulate(subject.particle_type, subject.settings(duration=2.0), songs.pulsing, start=whole[cut])
        where = first_difference((whole[cut + 1 :], resumed))
        if where is not None:
            yield Problem(
                "resume",
                f"cut after frame {cut} and resumed in a fresh world, a run differs {where}.",
                "A frame must follow from the columns, the settings, the song and the clock alone. What has to last "
                "belongs in a Column; not on a system, not in a module, not in a component that is changed.",
            )
            return
    unseen = simulate(subject.particle_type, subject.settings(duration=2.0), songs.pulsing, keep=(whole[-1].frame,))
    where = first_difference((whole[-1:], unseen))
    if where is not None:
        yield Problem(
            "resume",
            f"a run of which only the last frame is drawn differs {where}.",
            "Systems of the phase EXTRACT run only for frames that are seen, so they must not change anything: change "
            "columns in SHADE or before.",
        )


def require_determinism(subject: Subject) -> None:
    """Raise UnjudgedError if runs are not deterministic."""
    if first_difference((subject.pulsing, subject.again)) is not None:
        raise UnjudgedError("two runs differ anyway")


def _kept_on_systems(subject: Subject) -> list[str]:
    """The attributes of the type's systems, such as Steer.views."""
    kept = []
    with staged(subject.particle_type, subject.settings(duration=2.0), songs.pulsing) as stage:
        stage.skip_to(10)
        for system in stage.world.systems:
            if isinstance(system, subject.particle_type.systems) and type(system) not in BUILT_IN:
                kept += [f"{type(system).__name__}.{name}" for name in vars(system) if name not in _ESPERS_OWN]
    return kept


def _other_work(subject: Subject) -> None:
    """Simulate what a process may have rendered before, with another seed and song, which leaves traces if any."""
    settings = subject.settings(duration=0.25, seed=subject.settings().seed + 1)
    simulate(subject.particle_type, settings, songs.loud)
