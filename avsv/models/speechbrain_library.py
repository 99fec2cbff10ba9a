"""SpeechBrain as a library: importing it, and the front end of its published speaker encoders."""

import logging
import os
import sys
import types

from torch import nn

from avsv.torchaudio_library import make_optional


def import_speechbrain() -> None:
    """Import speechbrain, quietly, also where torchaudio's compiled library does not fit this torch."""
    make_optional()
    # it logs its quirks, and every file that it opens, each through a logger of its own
    os.environ.setdefault("SB_LOG_LEVEL", "WARNING")
    logging.getLogger("speechbrain").setLevel(logging.WARNING)
    import speechbrain  # noqa: F401

    # Its stand-ins for renamed and optional modules import whenever they are touched, and fail where a package is
    # absent; tools that walk sys.modules (inspect, hypothesis) die of that. An import finds them again where needed.
    for name, module in list(sys.modules.items()):
        if name.startswith("speechbrain") and type(module) is not types.ModuleType:
            del sys.modules[name]


def make_frontend() -> tuple[nn.Module, nn.Module]:
    """SpeechBrain's filter banks and mean normalisation, as its published speaker encoders use them.

    Returns
    -------
    (batch, n) waveforms at 16 kHz -> (batch, t, 80); and their normalisation, given relative lengths
    """
    import_speechbrain()
    from speechbrain.lobes.features import Fbank
    from speechbrain.processing.features import InputNormalization

    return Fbank(n_mels=80), InputNormalization(norm_type="sentence", std_norm=False)
