"""How sure a mean over the members of an ensemble is."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def jackknife_half_width(values: Array) -> Array:
    """Half of the 90 % interval of the mean of (members, n) values.

    Members differ in what they hold out, one fold of as many as there are members: the spread between them is that of a
    delete-a-group jackknife, whose standard error is the spread times sqrt(members - 1), with members - 1 degrees of freedom.
    """
    from scipy.special import stdtrit  # here: importing this file loads nothing heavy

    degrees = len(values) - 1
    half: Array = stdtrit(degrees, 0.95) * np.sqrt(degrees) * values.std(0)
    return half
