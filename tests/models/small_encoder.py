"""A small, untrained speaker encoder."""

from pathlib import Path

import torch

from avsv.models.speaker_encoders import ecapa_arguments, make_speaker_encoder
from avsv.models.speechbrain_folder import save_speechbrain_folder


def write_encoder(folder: Path) -> Path:
    """Write an ECAPA-TDNN of 6 dimensions for two speakers, in SpeechBrain's format."""
    torch.manual_seed(0)
    options = (80, 8, 4, 6)
    arguments = ecapa_arguments(*options)
    save_speechbrain_folder(folder, make_speaker_encoder("ecapa", arguments), torch.zeros(2, 6), ["a", "b"], arguments)
    return folder
