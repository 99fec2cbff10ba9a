"""Audio-visual person verification: is this the same person, given their voice and their face?

The names below are the public API. Each is imported when it is first used, so `import avsv` takes milliseconds, and
reading, scoring and evaluating never import torch.

Examples
--------
>>> import avsv, numpy as np
>>> scores, labels = np.array([-1.0, 2.0, 0.5, 3.0]), np.array([False, True, False, True])
>>> avsv.eer(scores, labels), avsv.min_dcf(scores, labels, p_target=0.01)
(0.0, 0.0)
"""

from importlib import import_module

__version__ = "0.1.0"
# type checkers take this name for True; importing typing would slow the start of every Python of this environment
TYPE_CHECKING = False

if TYPE_CHECKING:  # for type checkers and editors; at run time __getattr__ does the same, lazily
    from avsv.embeddings.clip import embed as embed
    from avsv.embeddings.face import load_face_encoder as load_face_encoder
    from avsv.embeddings.pair import load_fusion as load_fusion
    from avsv.embeddings.voice import load_voice_encoder as load_voice_encoder
    from avsv.errors import AvsvError as AvsvError
    from avsv.errors import InputError as InputError
    from avsv.errors import MissingEmbedding as MissingEmbedding
    from avsv.errors import OptionError as OptionError
    from avsv.evaluation.bootstrap import bootstrap as bootstrap
    from avsv.evaluation.cllr import cllr as cllr
    from avsv.evaluation.comparison import compare as compare
    from avsv.evaluation.dcf import act_dcf as act_dcf
    from avsv.evaluation.dcf import min_dcf as min_dcf
    from avsv.evaluation.det_plot import plot_det as plot_det
    from avsv.evaluation.errors import eer as eer
    from avsv.evaluation.measures import measure as measure
    from avsv.kaldi.embeddings import Embeddings as Embeddings
    from avsv.kaldi.embeddings import read_embeddings as read_embeddings
    from avsv.kaldi.scores import read_scores as read_scores
    from avsv.kaldi.trials import Trials as Trials
    from avsv.kaldi.trials import read_trials as read_trials
    from avsv.people.gallery import Gallery as Gallery
    from avsv.people.gallery_enrolment import EnrolmentRefused as EnrolmentRefused
    from avsv.scoring.backend import make_backend as make_backend
    from avsv.scoring.domain import Adaptation as Adaptation
    from avsv.scoring.domain import learn_adaptation as learn_adaptation
    from avsv.scoring.domain import read_adaptation as read_adaptation
    from avsv.scoring.trial_scores import calibrate as calibrate
    from avsv.scoring.trial_scores import fuse as fuse
    from avsv.scoring.trial_scores import normalize as normalize
    from avsv.scoring.trial_scores import score as score
    from avsv.scoring.verification import Clip as Clip
    from avsv.scoring.verification import Verdict as Verdict
    from avsv.scoring.verification import verify as verify

MODULES = {
    "avsv.errors": "AvsvError InputError MissingEmbedding OptionError",
    "avsv.kaldi.embeddings": "Embeddings read_embeddings",
    "avsv.kaldi.trials": "Trials read_trials",
    "avsv.kaldi.scores": "read_scores",
    "avsv.embeddings.voice": "load_voice_encoder",
    "avsv.embeddings.face": "load_face_encoder",
    "avsv.embeddings.pair": "load_fusion",
    "avsv.embeddings.clip": "embed",
    "avsv.people.gallery": "Gallery",
    "avsv.people.gallery_enrolment": "EnrolmentRefused",
    "avsv.scoring.verification": "Clip Verdict verify",
    "avsv.scoring.backend": "make_backend",
    "avsv.scoring.domain": "Adaptation learn_adaptation read_adaptation",
    "avsv.scoring.trial_scores": "score normalize calibrate fuse",
    "avsv.evaluation.errors": "eer",
    "avsv.evaluation.dcf": "min_dcf act_dcf",
    "avsv.evaluation.cllr": "cllr",
    "avsv.evaluation.measures": "measure",
    "avsv.evaluation.bootstrap": "bootstrap",
    "avsv.evaluation.comparison": "compare",
    "avsv.evaluation.det_plot": "plot_det",
}
PLACES = {name: module for module, names in MODULES.items() for name in names.split()}
__all__ = ["__version__", *PLACES]


def __getattr__(name: str) -> object:
    """Import a public name on its first use."""
    if name not in PLACES:
        raise AttributeError(f"module 'avsv' has no attribute {name!r}")
    value = getattr(import_module(PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
