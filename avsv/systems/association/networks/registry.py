"""Registry of the families: the value of `system` in a configuration -> class."""

from collections.abc import Mapping, Sequence

from avsv.errors import InputError
from avsv.models.checkpoint import NetworkFile
from avsv.systems.association.networks.dimnet import Dimnet
from avsv.systems.association.networks.family import AssociationOptions, Family
from avsv.systems.association.networks.fop import Fop
from avsv.systems.association.networks.infonce import TwoEncoders
from avsv.systems.association.networks.pins import LearnablePins
from avsv.systems.association.networks.ssnet import SharedBranch
from avsv.systems.association.networks.svhf import OddOneOut

SYSTEMS: dict[str, type[Family]] = {
    "infonce": TwoEncoders, "fop": Fop, "ssnet": SharedBranch, "dimnet": Dimnet, "pins": LearnablePins,
    "svhf": OddOneOut,
}  # fmt: skip


def make_family(sizes: Sequence[int], n_classes: Mapping[str, int], options: AssociationOptions) -> Family:
    """Make the network that `options.system` names; see Family.

    Raises
    ------
    InputError : unknown system, or contradictory options

    Examples
    --------
    >>> make_family((192, 512), {"identity": 10}, AssociationOptions("pins", 256)).options.size
    256
    """
    if options.system not in SYSTEMS:
        raise InputError(f"system={options.system}: expected one of {', '.join(SYSTEMS)}")
    return SYSTEMS[options.system](sizes, n_classes, options)


def build_family(description: dict) -> Family:
    options = AssociationOptions(**description["options"])
    return make_family(description["sizes"], description["n_classes"], options)


ASSOCIATION = NetworkFile("association.safetensors", "association", build_family)
