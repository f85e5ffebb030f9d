"""An MP4 that is whole or is not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqn_ref.config import UserError

# H.264 as every browser plays it. Colours are written, and marked, as what players take for granted in such sizes.
ENCODER = (
    "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709",
    "-crf", "18", "-movflags", "+faststart",
)  # fmt: skip


def check_tools() -> None:
    """Raise UserError unless what writes videos is installed."""
    try:
        import imageio.v2  # noqa: F401
        import imageio_ffmpeg
        import PIL.ImageFont  # noqa: F401

        imageio_ffmpeg.get_ffmpeg_exe()
    except ImportError as error:
        raise UserError(
            f"A video needs imageio, its ffmpeg and Pillow, and {error.name} is not installed: "
            'pip install -c constraints.txt "imageio[ffmpeg]"'
        ) from None
    except RuntimeError as error:
        raise UserError(f"imageio finds no ffmpeg on this machine: {error}") from None


@contextmanager
def new_file(path: Path) -> Iterator[tuple[Path, Path]]:
    """``path``, and the one beside it to write to, which takes its place when the body is done; else nothing is left.

    Raises:
        UserError: ``path`` is there, is no MP4, or cannot be written.
    """
    if path.suffix != ".mp4":
        raise UserError(f"--out must end in .mp4, got {path}.")
    unfinished = path.with_name(f"{path.stem}.unfinished-{os.getpid()}.mp4")
    try:
        _check_absent(path)
        unfinished.touch(exist_ok=False)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}. Choose another --out.") from None
    try:
        yield path, unfinished
        _check_absent(path)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _check_absent(path: Path) -> None:
    if path.exists():
        raise UserError(f"{path} is there already; a video is never overwritten. Choose another --out.")


def write_video(pictures: Iterator[NDArray[np.uint8]], path: Path, rate: float) -> None:
    """Encode ``pictures`` [height, width, 3], ``rate`` a second. Raises UserError: the file is not whole."""
    import imageio.v2
    import imageio_ffmpeg

    given = 0
    try:
        writer: Any = imageio.v2.get_writer(
            path,
            format="FFMPEG",
            mode="I",
            fps=rate,
            codec="libx264",
            pixelformat="yuv420p",
            quality=None,
            macro_block_size=2,
            output_params=list(ENCODER),
            ffmpeg_log_level="quiet",
        )
        try:
            for picture in pictures:
                writer.append_data(picture)
                given += 1
        finally:
            writer.close()  # as a context manager it would leave ffmpeg running after an error
    except OSError as error:
        raise UserError(f"{path.parent} cannot be written to: ffmpeg gave up ({str(error).splitlines()[0]}).") from None
    try:
        written = imageio_ffmpeg.count_frames_and_secs(path)[0]  # ffmpeg's exit code is not passed on
    except RuntimeError:
        written = 0
    if written != given:
        raise UserError(f"{path.parent} cannot be written to: of {given:,} pictures {written:,} are there.")
