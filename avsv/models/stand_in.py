"""Stand-ins for slow modules that a library imports but rarely uses; the real module is loaded on first real use."""

import importlib
import sys
from types import ModuleType


class StandIn(ModuleType):
    """A module with given attributes. Any other attribute loads the real module, which then replaces it.

    Attributes such as `__file__`, which tools ask of every loaded module, do not load it; `__path__` does, because
    Python reads it before it imports a submodule.
    """

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") and name != "__path__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        take_away(self)
        return getattr(importlib.import_module(self.__name__), name)


def stand_in(name: str, **attributes: object) -> StandIn | None:
    """Put a stand-in with these attributes in place of a module; None if the module is loaded already.

    Examples
    --------
    >>> module = stand_in("tabnanny", answer=42)
    >>> import tabnanny
    >>> tabnanny.answer, tabnanny.errprint.__name__  # the second one loads the module
    (42, 'errprint')
    >>> sys.modules["tabnanny"] is module
    False
    """
    if name in sys.modules:
        return None
    module = sys.modules[name] = StandIn(name)
    vars(module).update(attributes)
    return module


def take_away(module: StandIn | None) -> None:
    """Remove a stand-in; the next import of its name loads the real module."""
    if module is not None and sys.modules.get(module.__name__) is module:
        del sys.modules[module.__name__]


def without_compiler() -> None:
    """Keep torch's compiler out of this process until it is used: avsv does not use it, and its import takes 2 to 3 s.

    Every optimiser, and some operations on the "meta" device, import it only to exclude themselves from compilation.
    """
    stand_in("torch._dynamo", disable=lambda function, *_, **__: function, graph_break=lambda: None)
