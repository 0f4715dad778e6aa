"""The engine of Motes: what a program that renders, or a plugin that adds a particle type, may import.

Names are loaded when first used, so that importing ``ecs_core`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecs_core.arrays import F32 as F32
    from ecs_core.audio.bands import Bands as Bands
    from ecs_core.audio.bands import BandsWanted as BandsWanted
    from ecs_core.audio.momentary_wave import momentary_wave as momentary_wave
    from ecs_core.audio.momentary_wave import outline_of as outline_of
    from ecs_core.audio.spectrum import Spectrum as Spectrum
    from ecs_core.audio.timeline import AudioFeature as AudioFeature
    from ecs_core.audio.timeline import FeatureTimeline as FeatureTimeline
    from ecs_core.ecs.components import FRAME as FRAME
    from ecs_core.ecs.components import Attraction as Attraction
    from ecs_core.ecs.components import Bounds as Bounds
    from ecs_core.ecs.components import Brightness as Brightness
    from ecs_core.ecs.components import Burst as Burst
    from ecs_core.ecs.components import Camera as Camera
    from ecs_core.ecs.components import Collide as Collide
    from ecs_core.ecs.components import Color as Color
    from ecs_core.ecs.components import ColorBy as ColorBy
    from ecs_core.ecs.components import ColorOverLife as ColorOverLife
    from ecs_core.ecs.components import Drag as Drag
    from ecs_core.ecs.components import Emission as Emission
    from ecs_core.ecs.components import EmitFrom as EmitFrom
    from ecs_core.ecs.components import FadeWithDistance as FadeWithDistance
    from ecs_core.ecs.components import Gravity as Gravity
    from ecs_core.ecs.components import Growth as Growth
    from ecs_core.ecs.components import Hue as Hue
    from ecs_core.ecs.components import Jitter as Jitter
    from ecs_core.ecs.components import Lifetime as Lifetime
    from ecs_core.ecs.components import LightOverLife as LightOverLife
    from ecs_core.ecs.components import Look as Look
    from ecs_core.ecs.components import Position as Position
    from ecs_core.ecs.components import Pulse as Pulse
    from ecs_core.ecs.components import ScaleWithDistance as ScaleWithDistance
    from ecs_core.ecs.components import Size as Size
    from ecs_core.ecs.components import SizeOverLife as SizeOverLife
    from ecs_core.ecs.components import Skirt as Skirt
    from ecs_core.ecs.components import Speed as Speed
    from ecs_core.ecs.components import Sprite as Sprite
    from ecs_core.ecs.components import Trail as Trail
    from ecs_core.ecs.components import TrailPoints as TrailPoints
    from ecs_core.ecs.components import Tumble as Tumble
    from ecs_core.ecs.components import Turbulence as Turbulence
    from ecs_core.ecs.components import Turn as Turn
    from ecs_core.ecs.components import Twinkle as Twinkle
    from ecs_core.ecs.components import Upkeep as Upkeep
    from ecs_core.ecs.components import Velocity as Velocity
    from ecs_core.ecs.components import Walls as Walls
    from ecs_core.ecs.resources import AudioFrame as AudioFrame
    from ecs_core.ecs.resources import Canvas as Canvas
    from ecs_core.ecs.resources import Clock as Clock
    from ecs_core.ecs.schedule import Phase as Phase
    from ecs_core.ecs.space import Depth as Depth
    from ecs_core.ecs.space import Links as Links
    from ecs_core.ecs.space import TrailDepths as TrailDepths
    from ecs_core.ecs.space import Volume as Volume
    from ecs_core.ecs.table import Column as Column
    from ecs_core.ecs.table import Table as Table
    from ecs_core.ecs.values import Curve as Curve
    from ecs_core.ecs.values import Gradient as Gradient
    from ecs_core.ecs.values import Pareto as Pareto
    from ecs_core.ecs.values import Range as Range
    from ecs_core.ecs.world import Snapshot as Snapshot
    from ecs_core.ecs.world import System as System
    from ecs_core.ecs.world import World as World
    from ecs_core.errors import AudioError as AudioError
    from ecs_core.errors import MotesError as MotesError
    from ecs_core.errors import OutputError as OutputError
    from ecs_core.errors import PluginError as PluginError
    from ecs_core.errors import RenderCancelled as RenderCancelled
    from ecs_core.errors import RenderError as RenderError
    from ecs_core.errors import SceneError as SceneError
    from ecs_core.errors import StructuralChangeError as StructuralChangeError
    from ecs_core.layers.kind import LayerKind as LayerKind
    from ecs_core.layers.kind import Moment as Moment
    from ecs_core.layers.kind import Stage as Stage
    from ecs_core.plugin_api.hooks import hookimpl as hookimpl
    from ecs_core.plugin_api.particle_type import API_VERSION as API_VERSION
    from ecs_core.plugin_api.particle_type import ParticleType as ParticleType
    from ecs_core.plugin_api.resolution import outputs_of as outputs_of
    from ecs_core.raster.background import Background as Background
    from ecs_core.raster.colour import light_shown_as as light_shown_as
    from ecs_core.raster.colour import linear_from_srgb as linear_from_srgb
    from ecs_core.raster.light_pictures import LightMask as LightMask
    from ecs_core.raster.light_pictures import LightPicture as LightPicture
    from ecs_core.raster.light_pictures import light_of as light_of
    from ecs_core.raster.marks import BoxesMark as BoxesMark
    from ecs_core.raster.marks import MaskMark as MaskMark
    from ecs_core.raster.marks import PictureMark as PictureMark
    from ecs_core.raster.marks import Pose as Pose
    from ecs_core.raster.picture_file import read_picture as read_picture
    from ecs_core.raster.sprites import Sprites as Sprites
    from ecs_core.raster.textures import texture_number as texture_number
    from ecs_core.rendering.progress import Progress as Progress
    from ecs_core.rendering.run import render as render
    from ecs_core.rendering.still import render_frame as render_frame
    from ecs_core.scene.layer_settings import PlacedLayer as PlacedLayer
    from ecs_core.scene.model import RGB as RGB
    from ecs_core.scene.model import option as option
    from ecs_core.scene.render_result import RenderResult as RenderResult
    from ecs_core.scene.scene import Scene as Scene
    from ecs_core.scene.settings import Settings as Settings
    from ecs_core.systems.audio_reaction import Binding as Binding
    from ecs_core.systems.audio_reaction import Reactive as Reactive
    from ecs_core.templates.filling import fill_template as fill_template
    from ecs_core.templates.template import Template as Template
    from ecs_core.templates.template import check_template as check_template
    from ecs_core.templates.template import find_template as find_template

_PUBLIC = {
    "arrays": "F32",
    "audio.bands": "Bands BandsWanted",
    "audio.momentary_wave": "momentary_wave outline_of",
    "audio.spectrum": "Spectrum",
    "audio.timeline": "AudioFeature FeatureTimeline",
    "ecs.components": "Attraction Bounds Brightness Burst Camera Collide Color ColorBy ColorOverLife Drag EmitFrom "
    "Emission FadeWithDistance Gravity Growth Hue Jitter Lifetime LightOverLife Look Position Pulse ScaleWithDistance "
    "Size SizeOverLife Skirt Speed Sprite Trail TrailPoints Tumble Turbulence Turn Twinkle Upkeep Velocity Walls FRAME",
    "errors": "AudioError MotesError OutputError PluginError RenderCancelled RenderError SceneError "
    "StructuralChangeError",
    "plugin_api.hooks": "hookimpl",
    "layers.kind": "LayerKind Moment Stage",
    "plugin_api.particle_type": "API_VERSION ParticleType",
    "plugin_api.resolution": "outputs_of",
    "raster.background": "Background",
    "raster.colour": "light_shown_as linear_from_srgb",
    "raster.light_pictures": "LightMask LightPicture light_of",
    "raster.marks": "BoxesMark MaskMark PictureMark Pose",
    "raster.picture_file": "read_picture",
    "raster.sprites": "Sprites",
    "raster.textures": "texture_number",
    "rendering.progress": "Progress",
    "rendering.run": "render",
    "rendering.still": "render_frame",
    "ecs.resources": "AudioFrame Canvas Clock",
    "scene.render_result": "RenderResult",
    "scene.scene": "Scene",
    "ecs.schedule": "Phase",
    "scene.layer_settings": "PlacedLayer",
    "scene.model": "RGB option",
    "scene.settings": "Settings",
    "systems.audio_reaction": "Binding Reactive",
    "templates.filling": "fill_template",
    "templates.template": "Template check_template find_template",
    "ecs.space": "Depth Links TrailDepths Volume",
    "ecs.table": "Column Table",
    "ecs.values": "Curve Gradient Pareto Range",
    "ecs.world": "Snapshot System World",
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ecs_core' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ecs_core.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
