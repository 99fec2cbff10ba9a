"""The families by their names in a configuration."""

from collections.abc import Mapping, Sequence

from avsv.errors import UserError
from avsv.models.association.dimnet import Dimnet
from avsv.models.association.family import AssociationOptions, Family
from avsv.models.association.fop import Fop
from avsv.models.association.infonce import TwoEncoders
from avsv.models.association.pins import LearnablePins
from avsv.models.association.ssnet import SharedBranch
from avsv.models.association.svhf import OddOneOut

SYSTEMS: dict[str, type[Family]] = {
    "infonce": TwoEncoders, "fop": Fop, "ssnet": SharedBranch, "dimnet": Dimnet, "pins": LearnablePins,
    "svhf": OddOneOut,
}  # fmt: skip


def make_family(sizes: Sequence[int], n_classes: Mapping[str, int], options: AssociationOptions) -> Family:
    """The network that `options.system` names; see Family.

    Raises
    ------
    UserError : a name that is none, options that contradict

    Examples
    --------
    >>> make_family((192, 512), {"identity": 10}, AssociationOptions("pins", 256)).options.size
    256
    """
    if options.system not in SYSTEMS:
        raise UserError(f"system={options.system}: expected one of {', '.join(SYSTEMS)}")
    return SYSTEMS[options.system](sizes, n_classes, options)
