"""Decoding of pictures, in the sandboxed process: any of them becomes rows of sRGB pixels, the right way up.

Nothing else in the service gives a client's picture to Pillow.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from PIL import AvifImagePlugin, Image, ImageCms, ImageOps

from services.media.assets.endings import check_end
from services.media.assets.kinds import ALLOWED, AssetError
from services.media.assets.limits import CHUNK, LONGEST_SIDE, MOST_PIXELS
from services.media.sandbox.messages import Channel

Image.init()  # loads all formats, of which few are allowed below: a confined process can load nothing
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # it can start no threads, nor ask how many processors there are
_SRGB = ImageCms.createProfile("sRGB")
_PNG_DEPTH = 24  # where a PNG says how many bits it has
_GAMMA, _NEAR = 1 / 2.2, 0.01
_PRIMARIES, _TRANSFERS = (1, 2, 5, 6, 7), (1, 2, 6, 13, 14, 15)  # near sRGB's (ITU-T H.273), or not said
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}  # the profiles that fit a mode


def normalise(path: Path, channel: Channel, form: str) -> None:
    """Send {format, width, height, channels, warnings}, then its rows as bytes: RGB, or RGBA with straight alpha.

    Raises:
        AssetError: it is damaged, too large, moves, or has colours that cannot be told.
    """
    image, deep = _read(path, form)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image, changed = _in_srgb(image, path)
        except (AssetError, MemoryError):
            raise
        except Exception as error:  # of any kind, where a file is damaged
            raise _damaged(path, error) from None
    notes = ["16 bits became 8"] * deep + ["its colours became sRGB"] * changed
    channels = len(image.getbands())
    channel.say(format=form, width=image.width, height=image.height, channels=channels, warnings=notes)
    rows = max(1, CHUNK // (image.width * channels))
    for top in range(0, image.height, rows):
        channel.send(image.crop((0, top, image.width, min(image.height, top + rows))).tobytes())


def _read(path: Path, form: str) -> tuple[Image.Image, bool]:
    """The picture, decoded, with its size and its end checked; and whether it has 16 bits a channel."""
    data = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, on what is damaged a little, or large
            Image.MAX_IMAGE_PIXELS = None  # the limits are below
            image: Image.Image = Image.open(io.BytesIO(data), formats=[form])
            _check_size(image, path)
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # the others are smaller, or its depth
                raise AssetError(f"{path}: has {getattr(image, 'n_frames', 1)} pictures, so it moves; allowed: one")
            check_end(data, form, path)
            _check_colours(data, image, form, path)
            image.load()
            turned = ImageOps.exif_transpose(image)
    except (AssetError, MemoryError):
        raise
    except Exception as error:  # of any kind, where a file is damaged
        raise _damaged(path, error) from None
    _check_size(turned, path)
    return turned, form == "PNG" and data[_PNG_DEPTH] == 16


def _damaged(path: Path, error: Exception) -> AssetError:
    why = " ".join(str(error).split()).replace("<_io.BytesIO object", "<file")[:200] or type(error).__name__
    why = "".join(letter if letter.isprintable() else "\ufffd" for letter in why)
    if "cannot identify" in why:
        return AssetError(f"{path}: is damaged: it cannot be read as {ALLOWED['image']}")
    return AssetError(f"{path}: is damaged or cut off: {why}")


def _check_size(image: Image.Image, path: Path) -> None:
    wide, high = image.size
    if max(wide, high) > LONGEST_SIDE or wide * high > MOST_PIXELS or min(wide, high) < 1:
        allowed = f"{LONGEST_SIDE} pixels a side and {MOST_PIXELS // 1_000_000} megapixels"
        raise AssetError(f"{path}: has {wide} × {high} pixels; allowed: at most {allowed}")


def _check_colours(data: bytes, image: Image.Image, form: str, path: Path) -> None:
    """Refuse colours that only a few programs show as they are meant: HDR, and curves of their own."""
    if image.info.get("icc_profile"):
        return
    said = None
    if form == "AVIF" and (at := data.find(b"colrnclx", 0, 1 << 16)) >= 0:
        said = int.from_bytes(data[at + 8 : at + 10]), int.from_bytes(data[at + 10 : at + 12])
    if form == "PNG" and (at := data.find(b"cICP", 0, 1 << 12)) >= 0:
        said = data[at + 4], data[at + 5]
    if said is not None and not (said[0] in _PRIMARIES and said[1] in _TRANSFERS):
        raise AssetError(f"{path}: has colours for wide or bright screens (HDR); save it with sRGB")
    gamma = image.info.get("gamma")
    if gamma and "srgb" not in image.info and abs(float(gamma) - _GAMMA) > _NEAR:
        raise AssetError(f"{path}: has a brightness curve of its own (gamma {float(gamma):.3g}); save it with sRGB")


def _in_srgb(image: Image.Image, path: Path) -> tuple[Image.Image, bool]:
    """The picture as RGB or RGBA in sRGB, 8 bits each, and whether a profile changed its colours."""
    changed = False
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off at 255
        image = image.convert("I").point(lambda value: value * (255 / 65_535)).convert("L")
    if image.mode in ("1", "P", "PA", "LA") or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "L" if image.mode == "1" else "RGB")
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    if image.mode not in _SPACES:
        if image.mode not in ("RGBA", "RGBX", "YCbCr"):
            raise AssetError(f"{path}: has colours of the kind {image.mode}; save it with sRGB")
        image = image.convert("RGB")
    if profile:
        image, changed = _converted(image, profile, path)
    elif image.mode == "CMYK":
        raise AssetError(f"{path}: has the colours of a print (CMYK) and no colour profile; save it with sRGB")
    image = image if image.mode == "RGB" else image.convert("RGB")
    if alpha is not None and alpha.getextrema() != (255, 255):
        image.putalpha(alpha)
    return image, changed


def _converted(image: Image.Image, profile: bytes, path: Path) -> tuple[Image.Image, bool]:
    """The picture in sRGB, by the profile that it brings, and whether that changed it."""
    try:
        own: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = own.profile.xcolor_space.strip()
        if space == "GRAY" and image.mode == "RGB":  # grey with alpha
            image = image.convert("L")
        if _SPACES[image.mode] != space:
            if image.mode == "L" and space == "RGB":
                image = image.convert("RGB")
            else:
                raise AssetError(f"{path}: has a colour profile for {space}, which it is not; save it with sRGB")
        if space == "RGB" and (own.profile.profile_description or "").startswith("sRGB"):
            return image, False
        turn = ImageCms.buildTransform(own, _SRGB, image.mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
        return turn.apply(image), True
    except ImageCms.PyCMSError:
        raise AssetError(f"{path}: has a colour profile that cannot be read; save it with sRGB") from None
    except OSError:
        raise AssetError(f"{path}: has a colour profile that cannot be read; save it with sRGB") from None
