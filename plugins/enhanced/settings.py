"""What ``enhanced`` can be told."""

from pydantic import Field

from ecs_core import RGB, Settings


class EnhancedSettings(Settings):
    """The shared settings, with colours of its own."""

    particle_colors: tuple[RGB, ...] = Field(
        ((255, 86, 52), (78, 156, 255), (255, 204, 92), (204, 84, 255)),
        min_length=1,
        max_length=64,
        description="one is picked per particle",
    )
