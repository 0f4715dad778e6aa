"""The kinds of layers that Motes has itself."""

from __future__ import annotations

from ecs_core.layers.image import IMAGE

KINDS = (IMAGE,)
