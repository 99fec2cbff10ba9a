"""Makes `import torchaudio` work if its compiled library does not load: built for CUDA, beside a torch for CPUs.

Torchaudio 2.11 works if that library is absent, but its import fails if the file is present and cannot be loaded;
speechbrain imports torchaudio and fails too. After `make_optional`, a library that cannot be loaded counts as absent.
avsv-torchaudio.pth calls it whenever Python starts, so this module imports next to nothing.
"""

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

MODULE = "torchaudio._extension.utils"  # its _load_lib(name) loads a library, or returns False if it is absent


def absent_where_broken(load: Callable[[str], bool]) -> Callable[[str], bool]:
    """Return a function like `load` that returns False if `load` raises OSError."""

    def load_or_not(library: str) -> bool:
        try:
            return load(library)
        except OSError:
            return False

    return load_or_not


def make_optional() -> None:
    """From now on, treat a torchaudio library that cannot be loaded as absent. A second call changes nothing."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


class PatchingLoader(SourceFileLoader):
    """Loads the module, then changes how it loads libraries."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        module._load_lib = absent_where_broken(module._load_lib)


class Finder:
    """Finds that one module, before Python's own finders."""

    def find_spec(self, name: str, path: list[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != MODULE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = PatchingLoader(spec.loader.name, spec.loader.path)
        return spec
