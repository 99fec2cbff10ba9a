"""Files of self-supervised models in Hugging Face's format: two configurations, and weights as safetensors."""

import json
from pathlib import Path

from torch import nn

from avsv.errors import InputError
from avsv.importers.model_files import require_model_file
from avsv.jobs.home import home_folder
from avsv.jobs.inputs import read_text
from avsv.models.checkpoint import State, matching, read_safetensors
from avsv.models.self_supervised import INTEGRATIONS, PREPROCESSORS, SelfSupervisedEncoder, configuration, preprocessor

FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
# keys of config.json that say nothing of the architecture
IGNORED = ("auto_map", "_name_or_path", "architectures", "transformers_version", "torch_dtype", "dtype", "id2label",
           "label2id", "task_specific_params")  # fmt: skip
PREFIXES = ("wavlm.", "wav2vec2.", "hubert.", "wav2vec2_bert.", "model.")  # before the names in models with other heads
# names before and after torch's change of weight normalisation
RENAMED = {"conv.weight_g": "conv.parametrizations.weight.original0",
           "conv.weight_v": "conv.parametrizations.weight.original1"}  # fmt: skip


def model_folder(source: str) -> Path:
    """The folder of a model: `source` itself, or the cache of a published model, which is fetched once.

    Parameters
    ----------
    source : a folder, or "organisation/model" or "organisation/model@revision" of the Hugging Face Hub

    Raises
    ------
    InputError : no such folder, or the model cannot be fetched, such as one without safetensors
    """
    if not source:
        raise InputError("encoder=ssl needs the key ssl: a folder with config.json, preprocessor_config.json and "
                        "model.safetensors, or a name such as facebook/w2v-bert-2.0")  # fmt: skip
    if Path(source).is_dir():
        return Path(source)
    if source.startswith((".", "/", "exp/")) or source.count("/") != 1:
        raise InputError(f"ssl: {source}: no such folder")
    from speechbrain.utils.fetching import FetchConfig, fetch

    folder, (name, _, revision) = home_folder() / ".cache/avsv" / source.replace("/", "--"), source.partition("@")
    try:
        for file in FILES:
            fetch(file, name, savedir=str(folder), fetch_config=FetchConfig(revision=revision or None))
    except (OSError, ValueError) as error:
        raise InputError(f"ssl: {source}: cannot be fetched ({' '.join(str(error).split())[:200]}). Copy a folder with "
                        f"{', '.join(FILES)} to this machine and give its path") from None  # fmt: skip
    return folder


def read_texts(source: str) -> tuple[str, str]:
    """The two configurations of a model, as JSON on one line each, without keys that name code.

    Raises
    ------
    InputError : raised by `model_folder`, or a file that is absent or of another kind
    """
    folder, texts = model_folder(source), []
    for name, check, kinds in ((FILES[0], configuration, INTEGRATIONS), (FILES[1], preprocessor, PREPROCESSORS)):
        try:
            found = json.loads(read_text(folder / name))
            text = json.dumps({key: value for key, value in found.items() if key not in IGNORED})
        except (ValueError, AttributeError, RecursionError):
            text = ""
        if not check(text):
            raise InputError(f"{folder / name}: expected the configuration of one of {', '.join(kinds)}")
        texts.append(text)
    return texts[0], texts[1]


def weights_of(source: str) -> Path:
    """The file of a model's weights; InputError if it is absent."""
    path = model_folder(source) / FILES[2]
    if not path.exists():
        raise InputError(f"{path}: no such file; avsv reads safetensors only. Convert other weights with transformers: "
                        "AutoModel.from_pretrained(NAME).save_pretrained(FOLDER)")  # fmt: skip
    return require_model_file(path)


def load_pretrained(encoder: SelfSupervisedEncoder, source: str) -> None:
    """Load the published weights of the self-supervised model into an encoder; the head keeps its own.

    Raises
    ------
    InputError : the weights are absent, damaged, or of another model
    """
    path = weights_of(source)
    net: nn.Module = encoder.model.model
    state = renamed(read_safetensors(path)[1], net)
    net.load_state_dict({**net.state_dict(), **matching(net, state, path)})


def renamed(state: State, net: nn.Module) -> State:
    """The tensors under the names of `net`, without those of other heads, such as the codebooks of pre-training."""
    wanted, found = net.state_dict(), {}
    for name, tensor in state.items():
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        for old, new in RENAMED.items():
            if name.endswith(old) and name not in wanted:
                name = name.removesuffix(old) + new
        if name in wanted:
            found[name] = tensor
    return found
