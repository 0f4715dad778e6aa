"""The kinds of layers that Motes has itself."""

from __future__ import annotations

from ecs_core.layers.box import BOX
from ecs_core.layers.image import IMAGE
from ecs_core.layers.lyrics_layer import LYRICS
from ecs_core.layers.progress import PROGRESS
from ecs_core.layers.record import RECORD
from ecs_core.layers.spectrum import SPECTRUM
from ecs_core.layers.text_layer import TEXT
from ecs_core.layers.waveform import WAVEFORM

KINDS = (IMAGE, TEXT, LYRICS, SPECTRUM, WAVEFORM, PROGRESS, BOX, RECORD)
