"""Options for a template and its slots, which a song's own tags fill, too."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecs_core.errors import SceneError

if TYPE_CHECKING:
    from ecs_core.song_file.tags import SongTags
    from ecs_core.templates.template import Template

_FILES = ("cover", "lyrics", "logo")  # options that name files
_TEXTS = ("title", "artist")


def add_template_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --template, and options for its slots."""
    parser.add_argument(
        "--template", metavar="NAME|FILE.json", help="a whole look with slots for what follows, see `motes templates`"
    )
    from_tags = "(default: the song's tags)"
    parser.add_argument("--cover", metavar="FILE", type=Path, help=f"picture of the song {from_tags}")
    parser.add_argument("--title", help=f"what the song is called {from_tags}")
    parser.add_argument("--artist", help=f"who plays it {from_tags}")
    parser.add_argument("--lyrics", metavar="FILE", type=Path, help=f"what is sung: .lrc, .srt or .vtt {from_tags}")
    parser.add_argument("--logo", metavar="FILE", type=Path, help="picture of a logo")
    parser.add_argument(
        "--slot", metavar="NAME=VALUE", action="append", default=[], help="any slot of the template; may be repeated"
    )


class Slots:
    """What is given for a template's slots, and what the song's tags hold; both are read when they are needed."""

    def __init__(self, arguments: argparse.Namespace, song: Path | None, folder: Path | None) -> None:
        self._template: str | None = arguments.template
        self._song = song
        self._folder = folder
        self._given = _given(arguments)
        self._tags: SongTags | None = None
        if self._template is None:
            for name in self._given:
                if name != "cover":
                    raise SceneError(f"--{name}: is for a template; give --template, see `motes templates`")

    def filled(self) -> tuple[str, dict[str, Any]]:
        """The type and the config that the template makes of its slots."""
        from ecs_core.scene.cover_palette import colours_of_picture
        from ecs_core.templates.filling import fill_template, wants_cover_colours
        from ecs_core.templates.template import find_template

        template = find_template(self._template or "")
        slots = self._from_tags(template) | self._given
        colours = None
        if wants_cover_colours(template, slots) and (cover := slots.get("cover") or self._cover()) is not None:
            colours = colours_of_picture(Path(cover))
        return fill_template(template, slots, cover_colours=colours)

    def with_cover_colours(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A config in which the palette "cover" is that of the cover."""
        from ecs_core.scene.cover_palette import colours_of_picture, with_cover_colours

        used = False

        def colours() -> list[list[int]]:
            nonlocal used
            used = True
            cover = self._given.get("cover") or self._cover()
            if cover is None:
                raise SceneError('"cover" as a palette: there is no cover; give --cover, or a song that has one')
            return colours_of_picture(Path(cover))

        replaced = with_cover_colours(config, colours)
        if self._template is None and "cover" in self._given and not used:
            raise SceneError("--cover: nothing shows it; give --template, or --set particle_colors=cover")
        return replaced

    def _from_tags(self, template: Template) -> dict[str, str]:
        """What the song's tags hold of the template's slots that nothing is given for."""
        left = {name: slot.kind for name, slot in template.slots.items() if name not in self._given}
        wanted = {
            "cover": "image",
            "lyrics": "lyrics",
            "title": "text",
            "artist": "text",
            "album": "text",
            "date": "text",
        }
        left = {name: kind for name, kind in left.items() if wanted.get(name) == kind}
        if not left or (tags := self._read_tags()) is None:
            return {}
        found = {name: tags.texts[name] for name, kind in left.items() if kind == "text" and name in tags.texts}
        if "cover" in left and (cover := self._cover()) is not None:
            found["cover"] = cover
        if "lyrics" in left and tags.lyrics and self._folder is not None:
            (self._folder / "lyrics").write_text(tags.lyrics, encoding="utf-8")
            found["lyrics"] = str(self._folder / "lyrics")
        return found

    def _cover(self) -> str | None:
        """The path of the cover that the song holds."""
        from ecs_core.song_file.tags import picture_format

        tags = self._read_tags()
        if tags is None or tags.artwork is None or self._folder is None:
            return None
        path = self._folder / f"cover.{picture_format(tags.artwork)}"
        if not path.exists():
            path.write_bytes(tags.artwork)
        return str(path)

    def _read_tags(self) -> SongTags | None:
        if self._tags is None and self._song is not None:
            from ecs_core.song_file.audio_file import AudioFile

            with AudioFile(self._song) as file:
                self._tags = file.tags()
        return self._tags


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The slots that options name."""
    given: dict[str, Any] = {}
    for name in (*_FILES, *_TEXTS):
        if (value := getattr(arguments, name)) is not None:
            given[name] = str(value)
    for assignment in arguments.slot:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise SceneError(f"--slot {assignment}: must be NAME=VALUE, for example album=Nocturnes")
        if name in given:
            raise SceneError(f"--slot {assignment}: {name} is given twice")
        given[name] = _value(text)
    return given


def _value(text: str) -> Any:
    """A list of colours, or the text itself."""
    if text.startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text
