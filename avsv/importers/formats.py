"""Detecting the format of a file of embeddings from its content, and choosing the reader.

    npz, npy, safetensors   avsv/importers/arrays.py
    Kaldi ark and scp       avsv/importers/kaldi_archives.py (WeSpeaker and 3D-Speaker write these)
    csv, tsv                avsv/importers/text.py
    torch.save              avsv/importers/torch_files.py, separate because it needs torch
Nothing is unpickled: a pickle can run any program.
"""

import os
import re
import zipfile
from pathlib import Path

from avsv.errors import InputError
from avsv.importers.arrays import ARRAYS, choose_arrays
from avsv.importers.embeddings import RawEmbeddings
from avsv.importers.kaldi_archives import read_ark, read_moved_scp
from avsv.importers.model_files import require_model_file
from avsv.importers.numpy_files import ZIP, refuse_bomb
from avsv.importers.text import read_text
from avsv.jobs.inputs import open_regular, without_marks

HEAD = 1 << 16  # bytes that are inspected
SCP_LINE = re.compile(rb"\S+\s+.*(:\d+(\[.*\])?|\|)\s*")
TABLES = {"ark": read_ark, "scp": read_moved_scp, "text": read_text}
FORMS = "npz, npy, safetensors, Kaldi ark or scp, csv, or torch.save of names and tensors"


def recognise_embeddings(path: Path | str) -> str:
    """Detect the format of a file of embeddings: "npz", "npy", "safetensors", "torch", "ark", "scp" or "text".

    Raises
    ------
    InputError : no such file, a folder, an empty file, an unknown format, or a pickle (the message shows how to
        convert it to npz)
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file: {FORMS}")
    with open_regular(path) as file:
        head = without_marks(file.read(HEAD))
    first_line = head.partition(b"\n")[0]
    _, _, after_name = first_line.partition(b" ")
    if not head.strip():
        raise InputError(f"{path}: the file is empty, expected embeddings: {FORMS}")
    require_model_file(path)
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(ZIP):
        return zip_form(path)
    if head[8:9] == b"{" and b"\0" in head[:8]:  # the header's length, then the header
        return "safetensors"
    if head.startswith(b"\x80") and path.suffix in (".pt", ".pth"):
        return "torch"  # the format before torch 1.6
    if head.startswith(b"\x80") or path.suffix in (".pkl", ".pickle"):
        raise pickled(path)
    if after_name.startswith(b"\0B") or after_name.lstrip().startswith(b"["):
        return "ark"
    if b"\0" in head:
        raise InputError(f"{path}: unknown format, expected embeddings: {FORMS}")
    return "scp" if SCP_LINE.fullmatch(first_line) or names_a_file(first_line) else "text"


def names_a_file(line: bytes) -> bool:
    """Whether a line is `name path`, as in an scp without offsets."""
    fields = line.split(None, 1)
    return len(fields) == 2 and os.path.isfile(os.fsdecode(fields[1].strip()))


def zip_form(path: Path) -> str:
    """Format of a zip file: "npz" or "torch"."""
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_bomb(str(path), archive.infolist(), path.stat().st_size)
            members = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise InputError(f"{path}: is damaged or truncated: {error}") from None
    if any(member.endswith("/data.pkl") for member in members):
        return "torch"
    if all(member.endswith(".npy") for member in members):
        return "npz"
    raise InputError(f"{path}: is a zip file without numpy arrays, expected embeddings: {FORMS}")


def pickled(path: Path) -> InputError:
    """The error for a pickle, such as SpeechBrain's StatObject_SB with names in segset and vectors in stat1."""
    convert = (
        f"import numpy, pickle; o = pickle.load(open('{path}', 'rb')); "
        f"numpy.savez('{path.with_suffix('.npz')}', names=o.segset.astype(str), vectors=o.stat1)"
    )
    return InputError(
        f"{path}: is a Python pickle, which can run any program when it is read. If you trust it, convert it to npz "
        f'where it was made. For a SpeechBrain StatObject_SB: python -c "{convert}"'
    )


def read_raw_embeddings(
    path: Path | str, array: str | None = None, names: str | None = None, names_file: Path | str | None = None
) -> RawEmbeddings:
    """Read a file of embeddings in any format except torch's.

    Parameters
    ----------
    array, names : keys of the vectors and of the names, if the file has several arrays
    names_file : text file with one name per line, if the file has no names
    """
    form = recognise_embeddings(path)
    if form in ARRAYS:
        return choose_arrays(path, form, *ARRAYS[form](path), array, names, names_file)
    if form not in TABLES:
        raise InputError(f"{path}: is a torch file; convert it with avsv import-embeddings, which uses torch")
    for option, value in (("array", array), ("names", names), ("names_file", names_file)):
        if value is not None:
            raise InputError(f"{path}: `{option}` is for files of arrays; in this one ({form}) vectors have names")
    return TABLES[form](path)
