"""Containers: which files FFmpeg may open for a song, and with which decoders.

Formats and codecs are judged by what they are: whatever holds sound may be read. What makes FFmpeg read other files,
devices or the network (playlists, manifests, image sequences, subtitles with an index) is refused under any name, and
so are decoders of anything but sound, which FFmpeg would also run to probe a file's other streams.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import IO

import av
import av.codec
import av.error

from ecs_core.errors import AudioError
from ecs_core.song_file.ogg_links import Link

ALLOWED = "WAV, FLAC, MP3, OGG, Opus, AAC, M4A, or a video with a sound track"
_STREAMS = 64  # per file; films have fewer
# Not here: formats without a header, such as raw PCM, which FFmpeg knows by the ends of names alone.
_SONGS = (
    "wav,w64,aiff,au,caf,flac,mp3,ogg,aac,loas,ac3,eac3,dts,dtshd,mlp,truehd,iamf,amr,amrnb,amrwb,ape,tta,tak,wv,shn,mpc,"
    "mpc8,dsf,wsd,iff,voc,sox,ircam,nistsphere,nsp,pvf,epaf,avr,laf,wve,hcom,rso,sds,sdx,vqf,oma,aea,qcp,gsm,ilbc,dss,act,"
    "bit,mmf,xwma,asf,bonk,osq,qoa,rka,wavarc,daud,spdif"
)
_VIDEOS = (
    "avi,flv,kux,live_flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,mxf,gxf,nut,nuv,nsv,rm,wtv,dv,ty,swf,pva,lxf,"
    "vividas,vivo"
)
_GAMES = (
    "3dostr,4xm,aax,ace,acm,adp,ads,adx,afc,aix,alp,apc,apm,argo_asf,argo_brp,argo_cvg,ast,bfstm,binka,bink,boa,brstm,dcstr,"
    "derf,ea,film_cpk,fsb,fwse,genh,hca,ipmovie,iss,kvag,mca,moflex,msf,mtaf,musx,pp_bnk,psxstr,redspark,roq,rsd,scd,sdns,"
    "siff,smk,smush,sol,svag,svs,thp,usm,vag,vmd,vpk,wady,wc3movie,wsaud,wsvqa,xa,xmd,xmv,xvag"
)
_FORMATS = f"{_SONGS},{_VIDEOS},{_GAMES}"
_NO_SOUND = frozenset({"anull", "comfortnoise", "wavesynth"})  # they make samples up
_ID3_HEADER = 10  # bytes
_LARGE_ID3 = 1 << 16  # bytes
_LONGEST_ID3 = 300 << 20  # bytes; the format allows 256 MB


@cache
def sound_decoders() -> frozenset[str]:
    """The names of all of FFmpeg's decoders of sound."""
    return frozenset(name for name in av.codec.codecs_available if _is_sound(name)) - _NO_SOUND


def _is_sound(name: str) -> bool:
    try:
        return av.codec.Codec(name, "r").type == "audio"
    except ValueError:  # it only encodes
        return False


def open_container(path: Path, link: Link | None = None) -> av.container.InputContainer:
    """Open a song's file, or one link of a chained one.

    Raises:
        AudioError: it is not of an allowed format.
    """
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS, "max_streams": str(_STREAMS)}
    options |= {"codec_whitelist": ",".join(sorted(sound_decoders()))}
    source = str(path.absolute()) if link is None else link.open(path)
    try:
        form = None if link is not None else _format_behind_id3(path, options)
        return av.open(source, "r", format=form, options=options, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        raise AudioError(f"{path}: not audio that Motes can read; allowed: {ALLOWED}") from error


def _format_behind_id3(path: Path, options: dict[str, str]) -> str | None:
    """The name of the format of a song behind large ID3 tags, which FFmpeg takes for MP3; None if there are none."""
    with path.open("rb") as file:
        size, end = _id3_size(file), file.seek(0, io.SEEK_END)
    if not _LARGE_ID3 <= size < end:
        return None
    with av.open(Link(size, end).open(path), "r", options=options, metadata_errors="replace") as song:
        return song.format.name.partition(",")[0]


def _id3_size(file: IO[bytes]) -> int:
    """The size in bytes of the ID3 tags in front of a song."""
    size = 0
    while size < _LONGEST_ID3:
        file.seek(size)
        head = file.read(_ID3_HEADER)
        if len(head) < _ID3_HEADER or head[:3] != b"ID3" or max(head[6:]) > 127:
            break
        size += _ID3_HEADER + sum(part << shift for part, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    return min(size, _LONGEST_ID3)
