"""Calibrations that are found by the models whose scores they are for, for users without labelled recordings.

A calibration file of `avsv fuse` or `avsv calibrate` records the hashes of its models, by which files in the folder
.config/avsv/calibrations of the home folder are found. A finished recipe's OUT.json can be copied there. avsv ships
none: no published pair of models was measured for this purpose.
"""

from collections.abc import Mapping
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.home import home_folder
from avsv.scoring.calibration import read_fusion
from avsv.scoring.verification import modality_columns, named_models

FOLDER = Path(".config") / "avsv" / "calibrations"  # in the home folder


def find_calibration(models: Mapping[str, str]) -> Path:
    """The installed calibration for a set of models.

    Parameters
    ----------
    models : modality -> model, as in `Clip.models`

    Raises
    ------
    InputError : there is none, or there are several; or a file in the folder is no calibration
    """
    folder = home_folder() / FOLDER
    matching = [path for path in sorted(folder.glob("*.json")) if is_for(path, models)]
    names = ", ".join(models.values())
    if not matching:
        raise InputError(f"no calibration is installed for {names}: give `calibration`, or copy the JSON that avsv "
                        f"fuse wrote for these models to {folder}")  # fmt: skip
    if len(matching) > 1:
        raise InputError(f"{', '.join(map(str, matching))}: several calibrations for {names}; give one of them as "
                        "`calibration`, or remove the others")  # fmt: skip
    return matching[0]


def is_for(path: Path, models: Mapping[str, str]) -> bool:
    """Whether a file is a calibration of these models; InputError if it is no calibration at all."""
    fusion = read_fusion(path)
    named, backends = named_models(fusion, models)
    try:
        modality_columns(fusion, named, path, backends)
    except InputError:
        return False
    return True
