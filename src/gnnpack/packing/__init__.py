"""Which molecules share a pack: shapes, plans and the packers that make them.

>>> import numpy as np
>>> plan = lpfhp(np.array([5, 3, 4, 2, 2]), PackShape(8))
>>> plan.num_packs, plan.atom_efficiency
(2, 1.0)
"""

from gnnpack.packing.advice import advise, auto_shape
from gnnpack.packing.best_fill import Packer, packer_name, resolve_num_atoms
from gnnpack.packing.best_fit_decreasing import best_fit_decreasing
from gnnpack.packing.first_fit_decreasing import first_fit_decreasing
from gnnpack.packing.lpfhp import lpfhp
from gnnpack.packing.next_fit import next_fit
from gnnpack.packing.one_per_pack import one_per_pack
from gnnpack.packing.optimal import optimal
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.random_exact import random_exact
from gnnpack.packing.shape import PackShape
from gnnpack.packing.spfhp import spfhp
from gnnpack.packing.stream_packer import StreamingPacker
from gnnpack.packing.streaming import streaming
from gnnpack.packing.tuple_packing import tuple_packing

__all__ = [
    "PackPlan",
    "PackShape",
    "Packer",
    "StreamingPacker",
    "advise",
    "auto_shape",
    "best_fit_decreasing",
    "first_fit_decreasing",
    "lpfhp",
    "next_fit",
    "one_per_pack",
    "optimal",
    "packer_name",
    "random_exact",
    "resolve_num_atoms",
    "spfhp",
    "streaming",
    "tuple_packing",
]
