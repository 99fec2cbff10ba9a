"""The interface of synchrony networks, used by embedding, scoring and training."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class SynchronyNetwork(nn.Module, ABC):
    """Embeds cubes of mouth images and of audio; the two vectors are close if both belong together.

    Parameters
    ----------
    size : dimension of the vectors
    width : multiple of the published channel counts; below 1 for a laptop

    Attributes
    ----------
    fps, mouth_frames : mouth images per second, and per cube
    audio_features, audio_rate, audio_frames : audio features, their frames per second, and per cube
    mouth_stride, audio_stride : cubes of mouth and audio from one pair to the next
    audio_step : seconds from one audio cube to the next
    seconds : duration of a cube
    threshold : least confidence of a matching clip; None if not determined
    """

    fps: int
    mouth_frames: int
    audio_features: str
    audio_rate: int
    audio_frames: int
    mouth_stride: int
    audio_stride: int
    audio_step: float
    seconds: float
    threshold: float | None = None

    @abstractmethod
    def embed_mouths(self, images: Tensor, stride: int = 1) -> Tensor:
        """Embed all mouth cubes in segments of frames.

        Parameters
        ----------
        images : (batch, t, 60, 100) float, with mean 0 and standard deviation 1 over the clip; t >= mouth_frames
        stride : 1 for every cube, 2 for every second one, ...

        Returns
        -------
        (batch, (t - mouth_frames) // stride + 1, size)
        """

    @abstractmethod
    def embed_audio(self, features: Tensor, stride: int = 1) -> Tensor:
        """Embed the audio cubes in segments of features, one every `audio_step` seconds.

        Parameters
        ----------
        features : (batch, t, ...) float, see `avsv.systems.synchrony.audio_features`; t >= audio_frames
        stride : 1 for every cube, 2 for every second one, ...

        Returns
        -------
        (batch, cubes, size)
        """
