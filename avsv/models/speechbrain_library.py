"""Import of SpeechBrain, and the front end of its published speaker encoders."""

import logging
import os
import sys
import types

import scipy
from torch import nn

from avsv.models.stand_in import stand_in, take_away
from avsv.torchaudio_library import make_optional


class LogNormal:
    """Stand-in for scipy.stats.lognorm, which one of SpeechBrain's samplers uses."""

    def __getattr__(self, name: str) -> object:
        from scipy.stats import lognorm

        return getattr(lognorm, name)


def import_speechbrain() -> None:
    """Import speechbrain without its log messages, even if torchaudio's compiled library does not match torch."""
    make_optional()
    # it logs its patches and every file it opens, each with a separate logger
    os.environ.setdefault("SB_LOG_LEVEL", "WARNING")
    logging.getLogger("speechbrain").setLevel(logging.WARNING)
    # scipy.stats takes 1 to 2 s to import; without `__path__`, "from scipy.stats import" would load it
    folder = os.path.join(os.path.dirname(scipy.__file__), "stats")
    statistics = stand_in("scipy.stats", lognorm=LogNormal(), __path__=[folder])
    import speechbrain  # noqa: F401

    take_away(statistics)
    # Its stand-ins for renamed and optional modules import on any attribute access, and fail if a package is absent,
    # which breaks tools that iterate over sys.modules (inspect, hypothesis). A later import finds them again.
    for name, module in list(sys.modules.items()):
        if name.startswith("speechbrain") and type(module) is not types.ModuleType:
            del sys.modules[name]


def make_frontend() -> tuple[nn.Module, nn.Module]:
    """SpeechBrain's filter banks and mean normalisation, as its published speaker encoders use them.

    Returns
    -------
    (batch, n) waveforms at 16 kHz -> (batch, t, 80); and the features' normalisation, given relative lengths
    """
    import_speechbrain()
    from speechbrain.lobes.features import Fbank
    from speechbrain.processing.features import InputNormalization

    return Fbank(n_mels=80), InputNormalization(norm_type="sentence", std_norm=False)
