"""Sound and pictures of others are opened in avsv/media alone, and from elsewhere only through its guard."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEDIA = ROOT / "avsv" / "media"
SOURCES = sorted({*(ROOT / "avsv").rglob("*.py"), *(ROOT / "utils").rglob("*.py"), *(ROOT / "egs").rglob("*.py")})
OUTSIDE = [path for path in SOURCES if MEDIA not in path.parents]
LIBRARIES = {"av", "soundfile", "imageio", "wave", "audioread", "librosa", "decord", "imageio_ffmpeg"}
# functions of other libraries that take a path, or what a path leads to
CALLS = {"VideoCapture", "imread", "imreadmulti", "imdecodemulti", "wavfile", "aifc", "sunau", "read_video", "ffmpeg",
         "ffprobe", "read_image"}  # fmt: skip
WRITERS = {"egs/mini/local/media.py": {"av", "soundfile"}}  # what makes the corpus encodes
GUARDS = {"guarded", "guarded_each", "guarded_stream"}


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def called(node):
    """The name of what a call calls: f of f(), a.f()."""
    return getattr(node.func, "id", getattr(node.func, "attr", None))


def opens_media(node):
    """Whether a call is av.open, soundfile.X, Image.open or a subprocess."""
    function = node.func
    if not isinstance(function, ast.Attribute):
        return False
    owner = getattr(function.value, "id", None)
    return (owner, function.attr) in {("av", "open"), ("Image", "open"), ("subprocess", "run")} or (
        owner == "soundfile" and function.attr != "write"
    )


def decoders():
    """Functions of avsv/media that open media, themselves or by calling one that does; not those behind the guard."""
    bodies = {}
    for path in MEDIA.glob("*.py"):
        for node in tree_of(path).body:
            if isinstance(node, ast.FunctionDef):
                bodies[node.name] = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
    found = {name for name, calls in bodies.items() if any(opens_media(call) for call in calls)}
    while more := {n for n, calls in bodies.items() if n not in found and any(called(c) in found for c in calls)}:
        found |= more
    return found - {"decode_jpeg"}  # of our own archives: JPEG alone, of a size that is looked at first


DECODERS = decoders()


def test_the_decoders_are_found():
    assert {"read_sound", "read_part", "sound_seconds", "timed_sound", "read_frames", "read_picture", "video_frames",
            "open_container"} <= DECODERS  # fmt: skip
    assert not {"guarded", "all_seconds", "encode_png", "evenly_spaced", "resample"} & DECODERS


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", OUTSIDE, ids=named)
def test_no_library_that_decodes_is_used_outside_media(path):
    for node in ast.walk(tree_of(path)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        libraries = {name.partition(".")[0] for name in names} & LIBRARIES
        assert libraries <= WRITERS.get(named(path), set()), f"{named(path)}, line {node.lineno}: imports {libraries}"
        if isinstance(node, ast.Attribute | ast.Name):
            name = getattr(node, "attr", getattr(node, "id", None))
            assert name not in CALLS, f"{named(path)}, line {node.lineno}: {name}"
        if isinstance(node, ast.Call) and called(node) == "open" and opens_media(node):
            constants = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            assert "w" in constants and named(path) in WRITERS, f"{named(path)}, line {node.lineno}: opens media"


@pytest.mark.parametrize("path", OUTSIDE, ids=named)
def test_decoders_are_asked_through_the_guard(path):
    tree = tree_of(path)
    passed = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            names = [called(node), *(getattr(arg, "id", None) for arg in node.args[:1])]
            if names[0] in GUARDS or (names[0] == "partial" and names[1] in GUARDS):
                passed |= {id(argument) for argument in node.args}
    for node in ast.walk(tree):
        name = getattr(node, "id", getattr(node, "attr", None))
        if isinstance(node, ast.Name | ast.Attribute) and name in DECODERS and not defined_here(tree, name):
            assert id(node) in passed, f"{named(path)}, line {node.lineno}: {name} is not asked through the guard"


def defined_here(tree, name):
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in ast.walk(tree))
