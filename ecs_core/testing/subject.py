"""Subject: the particle type under test, and runs that several checks share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ecs_core.plugin_api import ParticleType
from ecs_core.scene.settings import Settings, validate
from ecs_core.testing import songs
from ecs_core.testing.simulate import State, simulate

_MANY: Mapping[str, int] = {"particle_count": 2000, "max_particles": 2000}  # so that chance evens out


@dataclass(frozen=True)
class Subject:
    """A type with the ``config`` it is checked with; ``seconds`` is how long the runs are that are compared, and
    ``budget`` how many microseconds a particle may take in a frame.
    """

    particle_type: ParticleType
    config: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 4.0
    budget: float = 2.0

    def settings(self, *, many: bool = False, **output: Any) -> Settings:
        """The type's settings: its own or the author's, with ``many`` particles where the author says nothing, and the
        given width, height, fps, duration or seed.

        Raises:
            SceneError: the author's config is wrong.
        """
        model = self.particle_type.settings
        counts = {}
        if many:
            limits = model.model_json_schema()["properties"]
            # A type may have lower limits than Motes.
            counts = {name: min(count, limits[name].get("maximum", count)) for name, count in _MANY.items()}
        values = {**counts, "duration": self.seconds, **self.config, **output}
        return validate(model, values, owner=f"particle type {self.particle_type.name!r}")

    @cached_property
    def pulsing(self) -> list[State]:
        """A run with the pulsing song."""
        return simulate(self.particle_type, self.settings(duration=2.0), songs.pulsing)

    @cached_property
    def again(self) -> list[State]:
        """The same run again."""
        return simulate(self.particle_type, self.settings(duration=2.0), songs.pulsing)

    @cached_property
    def silent(self) -> list[State]:
        """A run in silence, every third frame."""
        return self._sparsely(songs.silence)

    @cached_property
    def loud(self) -> list[State]:
        """A run with all features at 1, every third frame."""
        return self._sparsely(songs.loud)

    def _sparsely(self, song: songs.Song) -> list[State]:
        return simulate(self.particle_type, self.settings(), song, keep=range(0, 1_000_000, 3))
