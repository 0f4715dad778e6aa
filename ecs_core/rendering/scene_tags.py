"""What a video's tags say: what its song's do, unless the scene shows another title, artist or cover.

Layers of texts named "title" and "artist", and of an image named "cover", as templates have them, are those.
"""

from __future__ import annotations

import io
from dataclasses import replace

from ecs_core.layers.image import ImageSettings
from ecs_core.layers.text_layer import TextSettings
from ecs_core.plugin_api.layers import drawn_layers_of
from ecs_core.scene.settings import Settings
from ecs_core.song_file.tags import SongTags, clean

_TEXTS, _COVER = ("title", "artist"), "cover"
_SIDE, _QUALITY = 1000, 92  # of the cover: pixels of the longer side, and of JPEG


def tags_of_scene(settings: Settings, song: SongTags) -> SongTags:
    """The tags of a scene's video, given those of its song."""
    texts, artwork = dict(song.texts), song.artwork
    for layer in drawn_layers_of(settings):
        shown = layer.settings
        if layer.name in _TEXTS and isinstance(shown, TextSettings) and (text := clean(shown.text)):
            texts[layer.name] = text
        elif layer.name == _COVER and isinstance(shown, ImageSettings):
            artwork = _jpeg_of(shown.file)
    return replace(song, texts=texts, artwork=artwork)


def _jpeg_of(file: str) -> bytes:
    """The picture in a file as a small JPEG, over black."""
    from PIL import Image  # noqa: PLC0415 - slow, and most scenes have no cover

    from ecs_core.raster.picture_file import read_picture  # noqa: PLC0415 - likewise

    picture = Image.fromarray(read_picture(file))
    picture.thumbnail((_SIDE, _SIDE))
    ground = Image.new("RGB", picture.size)
    ground.paste(picture, mask=picture.getchannel("A"))
    data = io.BytesIO()
    ground.save(data, "JPEG", quality=_QUALITY)
    return data.getvalue()
