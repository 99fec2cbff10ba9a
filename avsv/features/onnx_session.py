"""Sessions of ONNX Runtime: files are checked before they are opened, and errors name the file."""

from pathlib import Path
from typing import Any

from avsv.errors import InputError, refuse_unknown
from avsv.features.onnx_files import check_onnx
from avsv.jobs.threads import n_asked

PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


def open_session(file: Path, device: str = "cpu", threads: int | None = None) -> Any:
    """An `onnxruntime.InferenceSession` of a file of unknown origin.

    Parameters
    ----------
    device : "cpu" or "cuda"
    threads : threads of the session, 1 if several threads share it; None for OMP_NUM_THREADS or, if unset, all cores

    Raises
    ------
    InputError : the file is refused by `check_onnx` or by ONNX Runtime, or there is no CUDA
    """
    import onnxruntime

    providers = usable_providers(device)
    check_onnx(file)
    onnxruntime.set_default_logger_severity(3)
    try:
        session = onnxruntime.InferenceSession(str(file), session_options(threads), providers=providers)
    except Exception as error:  # from onnxruntime or protobuf, some without a message
        raise InputError(f"{file}: cannot be loaded as an ONNX network: {brief(error)}") from None
    refuse_without_cuda(file, session, providers)
    return session


def session_options(threads: int | None = None) -> Any:
    """Options of a session that may run beside others; `threads` as in `open_session`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or n_asked()  # 0: all cores
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it would keep a pattern for each length of a clip
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads must not burn cores
    return options


def usable_providers(device: str) -> list[str]:
    """onnxruntime's providers for a device, "cpu" or "cuda".

    Raises
    ------
    OptionError : another device
    InputError : onnxruntime was built without CUDA
    """
    import onnxruntime

    refuse_unknown("device", device, PROVIDERS)
    if PROVIDERS[device][0] not in onnxruntime.get_available_providers():
        raise InputError(
            "device cuda: this onnxruntime has no CUDA. Install onnxruntime-gpu in place of onnxruntime: "
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install --no-deps onnxruntime-gpu"
        )
    return PROVIDERS[device]


def refuse_without_cuda(file: Path, session: Any, providers: list[str]) -> None:
    """Raise InputError if a session that should run on CUDA fell back to the CPU."""
    if providers[0] == "CUDAExecutionProvider" and "CUDA" not in session.get_providers()[0]:
        raise InputError(f"{file}: onnxruntime could not start CUDA; install the driver and cuDNN, or use device cpu")


def brief(error: Exception) -> str:
    """The message of a library's error on one short line, or its type if it has none."""
    return " ".join(str(error).split())[:200] or type(error).__name__
