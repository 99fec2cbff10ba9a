"""Kaldi's files byte by byte, as its sources (gmm/, ivector/, matrix/packed-matrix.cc) read and write them."""

import struct

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.systems.speech.extractor import Extractor
from avsv.systems.speech.gmm import DiagGmm, FullGmm
from avsv.systems.speech.kaldi_files import (
    read_diag_gmm,
    read_extractor,
    read_full_gmm,
    write_diag_gmm,
    write_extractor,
    write_full_gmm,
)

HALF = np.array([[2.0, 0.5], [0.5, 1.0]])
DIAG = DiagGmm(np.array([0.25, 0.75]), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.5], [2.0, 4.0]]))
FULL = FullGmm(DIAG.weights, DIAG.means, np.stack([HALF, np.eye(2)]))
EXTRACTOR = Extractor(DIAG.weights, np.arange(12.0).reshape(2, 2, 3), np.stack([HALF, np.eye(2)]), 100.0)
KINDS = [(DIAG, write_diag_gmm, read_diag_gmm), (FULL, write_full_gmm, read_full_gmm),
         (EXTRACTOR, write_extractor, read_extractor)]  # fmt: skip


def vector(values, kind="f"):
    return {"f": b"FV ", "d": b"DV "}[kind] + struct.pack(f"<bi{len(values)}{kind}", 4, len(values), *values)


def matrix(rows, kind="f"):
    values = [value for row in rows for value in row]
    token = {"f": b"FM ", "d": b"DM "}[kind]
    return token + struct.pack(f"<bibi{len(values)}{kind}", 4, len(rows), 4, len(rows[0]) if rows else 0, *values)


def triangle(values, size, kind="f"):
    return {"f": b"FP ", "d": b"DP "}[kind] + struct.pack(f"<bi{len(values)}{kind}", 4, size, *values)


DIAG_BYTES = (b"\0B<DiagGMM> <GCONSTS> " + vector([-1.0, -2.0]) + b"<WEIGHTS> " + vector([0.25, 0.75])
              + b"<MEANS_INVVARS> " + matrix([[1.0, 4.0], [1.5, 1.0]]) + b"<INV_VARS> " + matrix([[1, 2], [0.5, 0.25]])
              + b"</DiagGMM> ")  # fmt: skip
FULL_BYTES = (b"\0B<FullGMM> <WEIGHTS> " + vector([0.25, 0.75]) + b"<MEANS_INVCOVARS> " + matrix([[2.0, 1.0], [3, 4]])
              + b"<INV_COVARS> " + triangle([2.0, 0.0, 0.5], 2) + triangle([1, 0, 1], 2) + b"</FullGMM> ")  # fmt: skip
IE_BYTES = (b"\0B<IvectorExtractor> <w> " + matrix([], "d") + b"<w_vec> " + vector([0.25, 0.75], "d") + b"<M> "
            + struct.pack("<bi", 4, 2) + matrix([[0, 1, 2], [3, 4, 5]], "d") + matrix([[6, 7, 8], [9, 10, 11]], "d")
            + b"<SigmaInv> " + triangle([2, 0.5, 1], 2, "d") + triangle([1, 0, 1], 2, "d")
            + b"<IvectorOffset> " + struct.pack("<bd", 8, 100.0) + b"</IvectorExtractor> ")  # fmt: skip


def test_a_diagonal_gmm_is_read_in_kaldis_form(tmp_path):
    (tmp_path / "final.dubm").write_bytes(DIAG_BYTES)
    gmm = read_diag_gmm(tmp_path / "final.dubm")
    for name in ("weights", "means", "variances"):
        assert getattr(gmm, name) == pytest.approx(getattr(DIAG, name))
    write_diag_gmm(tmp_path / "again", gmm)
    start = len(b"\0B<DiagGMM> <GCONSTS> ") + 8
    again = (tmp_path / "again").read_bytes()
    assert again[:start] + again[start + 8 :] == DIAG_BYTES[:start] + DIAG_BYTES[start + 8 :]
    constants = np.frombuffer(again, "<f4", 2, start)  # log density at the origin, with the weight
    assert constants == pytest.approx(gmm.log_joint(np.zeros((1, 2)))[0])


def test_a_full_gmm_is_read_in_kaldis_form(tmp_path):
    (tmp_path / "final.ubm").write_bytes(FULL_BYTES)
    gmm = read_full_gmm(tmp_path / "final.ubm")
    assert gmm.covariances[0] == pytest.approx(np.diag([0.5, 2.0]))
    assert gmm.means == pytest.approx(np.array([[1.0, 2.0], [3.0, 4.0]]))
    write_full_gmm(tmp_path / "again", gmm)
    again = (tmp_path / "again").read_bytes()
    assert again[again.index(b"<WEIGHTS>") :] == FULL_BYTES[FULL_BYTES.index(b"<WEIGHTS>") :]
    constants = np.frombuffer(again, "<f4", 2, again.index(b"FV ") + 8)
    assert constants == pytest.approx(gmm.log_joint(np.zeros((1, 2)))[0])


def test_an_extractor_is_read_and_written_in_kaldis_form(tmp_path):
    (tmp_path / "final.ie").write_bytes(IE_BYTES)
    extractor = read_extractor(tmp_path / "final.ie")
    assert np.array_equal(extractor.projections, EXTRACTOR.projections) and extractor.offset == 100.0
    assert np.array_equal(extractor.precisions, EXTRACTOR.precisions)
    write_extractor(tmp_path / "again", extractor)
    assert (tmp_path / "again").read_bytes() == IE_BYTES


@pytest.mark.parametrize("model, write, read", KINDS)
def test_a_file_cut_anywhere_or_of_another_kind_is_refused(tmp_path, model, write, read):
    write(tmp_path / "whole", model)
    data = (tmp_path / "whole").read_bytes()
    file = tmp_path / "file"
    cut = [data[:end] for end in range(0, len(data), 7)] + [data + b"x", b"text", data.replace(b"\4", b"\5", 1)]
    other = {id(DIAG): FULL_BYTES, id(FULL): IE_BYTES, id(EXTRACTOR): DIAG_BYTES}[id(model)]
    for wrong in [*cut, other]:
        file.write_bytes(wrong)
        with pytest.raises(InputError, match=str(file)):
            read(file)
    with pytest.raises(InputError):
        read(tmp_path / "absent")


def test_impossible_values_are_refused(tmp_path):
    file = tmp_path / "file"
    for wrong, read in [
        (DIAG_BYTES.replace(matrix([[1, 2], [0.5, 0.25]]), matrix([[1, 2], [0.5, -0.25]])), read_diag_gmm),
        (DIAG_BYTES.replace(vector([0.25, 0.75]), vector([0.25, np.nan])), read_diag_gmm),
        (DIAG_BYTES.replace(vector([0.25, 0.75]), vector([1.0])), read_diag_gmm),
        (FULL_BYTES.replace(triangle([2.0, 0.0, 0.5], 2), triangle([2.0, 9.0, 0.5], 2)), read_full_gmm),
        (IE_BYTES.replace(triangle([2, 0.5, 1], 2, "d"), triangle([2, 9, 1], 2, "d")), read_extractor),
        (IE_BYTES.replace(b"<w> " + matrix([], "d"), b"<w> " + matrix([[0, 0, 0], [0, 0, 0]], "d")), read_extractor),
        (IE_BYTES.replace(b"<M> " + struct.pack("<bi", 4, 2), b"<M> " + struct.pack("<bi", 4, -2)), read_extractor),
    ]:
        file.write_bytes(wrong)
        with pytest.raises(InputError, match=str(file)):
            read(file)
