"""Only avsv/media opens media files, and other packages call it only through the guard."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEDIA = ROOT / "avsv" / "media"
SOURCES = sorted({*(ROOT / "avsv").rglob("*.py"), *(ROOT / "utils").rglob("*.py"), *(ROOT / "egs").rglob("*.py")})
OUTSIDE = [path for path in SOURCES if MEDIA not in path.parents]
LIBRARIES = {"av", "soundfile", "torchvision", "imageio", "wave", "audioread", "librosa", "decord", "imageio_ffmpeg"}
# functions of other libraries that decode media
CALLS = {"VideoCapture", "imread", "imreadmulti", "imdecodemulti", "wavfile", "aifc", "sunau", "read_video", "ffmpeg",
         "ffprobe", "read_image"}  # fmt: skip
WRITERS = {"egs/mini/local/media.py": {"av", "soundfile"}}  # encodes the media of the mini corpus
OPENERS = {("av", "open"), ("Image", "open"), ("subprocess", "run"), ("torchaudio", "load")}
GUARDS = {"guarded", "guarded_each", "guarded_stream"}


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def called(node):
    """The name of the called function: f for f() and a.f()."""
    return getattr(node.func, "id", getattr(node.func, "attr", None))


def opens_media(node):
    """Whether a call is av.open, soundfile.X, Image.open or a subprocess."""
    function = node.func
    if not isinstance(function, ast.Attribute):
        return False
    owner = getattr(function.value, "id", None)
    return (owner, function.attr) in {
        ("av", "open"),
        ("Image", "open"),
        ("subprocess", "run"),
        ("torchaudio", "load"),
    } or (owner == "soundfile" and function.attr != "write")


def decoders():
    """Functions of avsv/media that open media, directly or through another one; not those that use the guard."""
    bodies = {}
    for path in MEDIA.glob("*.py"):
        for node in tree_of(path).body:
            if isinstance(node, ast.FunctionDef):
                bodies[node.name] = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
    result = {name for name, calls in bodies.items() if any(opens_media(call) for call in calls)}
    while more := {n for n, calls in bodies.items() if n not in result and any(called(c) in result for c in calls)}:
        result |= more
    return result - {"decode_jpeg"}  # reads only JPEGs of avsv's own archives, after checking their size


DECODERS = decoders()


def test_the_decoders_are_found():
    assert {"read_waveform", "read_part", "audio_duration", "read_frames", "read_image", "video_frames",
            "open_container"} <= DECODERS  # fmt: skip
    assert not {"guarded", "audio_durations", "encode_png", "evenly_spaced", "resample"} & DECODERS


def named(path, node):
    return f"{path.relative_to(ROOT)}, line {node.lineno}"


def libraries_of(node):
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return {name.partition(".")[0] for name in names} & LIBRARIES


def foreign_decoders(path, tree):
    """Yield the places where a file uses a library that decodes; egs/mini/local/media.py may write."""
    may_use = WRITERS.get(str(path.relative_to(ROOT)), set())
    for node in ast.walk(tree):
        if libraries_of(node) - may_use:
            yield named(path, node)
        if isinstance(node, ast.Attribute | ast.Name) and getattr(node, "attr", getattr(node, "id", "")) in CALLS:
            yield named(path, node)
        if isinstance(node, ast.Call) and called(node) in ("open", "load") and opens_media(node):
            constants = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            if not may_use or "w" not in constants:
                yield named(path, node)


def unguarded(path, tree):
    """Yield the places where a file uses a decoder of avsv/media other than as an argument of the guard."""
    from_media = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                  and (node.module or "").startswith("avsv.media")]  # fmt: skip
    names = {alias.asname or alias.name for node in from_media for alias in node.names if alias.name in DECODERS}
    modules = {alias.asname or alias.name for node in from_media for alias in node.names if node.module == "avsv.media"}
    passed = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first = getattr(node.args[0], "id", None) if node.args else None
            if called(node) in GUARDS or (called(node) == "partial" and first in GUARDS):
                passed |= {id(argument) for argument in node.args}
    for node in ast.walk(tree):
        is_name = isinstance(node, ast.Name) and node.id in names
        is_part = (isinstance(node, ast.Attribute) and node.attr in DECODERS
                   and getattr(node.value, "id", None) in modules)  # fmt: skip
        if (is_name or is_part) and id(node) not in passed:
            yield named(path, node)


def test_only_media_uses_libraries_that_decode():
    assert not [place for path in OUTSIDE for place in foreign_decoders(path, tree_of(path))]


def test_other_packages_call_decoders_through_the_guard():
    assert not [place for path in OUTSIDE for place in unguarded(path, tree_of(path))]


@pytest.mark.parametrize("code, is_found", [
    ("from avsv.media.waveforms import read_waveform\nread_waveform('a')", True),
    ("from avsv.media.waveforms import read_waveform as r\nlist(map(r, 'ab'))", True),
    ("from avsv.media import frames\nframes.video_frames('a')", True),
    ("def f(read=read_part): ...\nfrom avsv.media.waveforms import read_part", True),
    ("from avsv.media.waveforms import read_waveform\nguarded(read_waveform, 'a')", False),
    ("from avsv.media.waveforms import read_part\npartial(guarded, read_part)", False),
    ("pieces = [1]\nsum(pieces)", False),
])  # fmt: skip
def test_a_direct_call_of_a_decoder_is_found(code, is_found):
    assert bool([*unguarded(ROOT / "x.py", ast.parse(code))]) == is_found


@pytest.mark.parametrize("code", ["import av", "from av import open", "import soundfile as sf", "cv2.VideoCapture(0)",
                                  "from cv2 import imread\nimread('a')", "from PIL import Image\nImage.open('a')",
                                  "torchaudio.load('a')"])  # fmt: skip
def test_a_library_that_decodes_is_found(code):
    assert [*foreign_decoders(ROOT / "x.py", ast.parse(code))]
