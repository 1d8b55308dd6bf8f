"""Intervals of a mean over the members of an ensemble, and how much wider for having looked at many."""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
CONFIDENCE = 0.9


def jackknife_half_width(values: Array) -> Array:
    """Half of the 90 % interval of the mean of (members, n) values.

    Members differ in what they hold out, one fold of as many as there are members: the spread between them is that of a
    delete-a-group jackknife, whose standard error is the spread times sqrt(members - 1), with members - 1 degrees of freedom.
    """
    from scipy.special import stdtrit  # here: importing this file loads nothing heavy

    degrees = len(values) - 1
    half: Array = stdtrit(degrees, 0.95) * np.sqrt(degrees) * values.std(0)
    return half


def student_probability(t: float, degrees: int) -> float:
    """P(|T| > t) of Student's t with whole degrees of freedom, without scipy.

    Source: Abramowitz and Stegun 26.7.3 and 26.7.4 (finite sums in the angle atan(t / sqrt(degrees))).
    """
    angle = math.atan2(t, math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    if degrees % 2:
        term = total = cosine if degrees > 1 else 0.0
        for k in range(3, degrees, 2):
            term *= cosine**2 * (k - 1) / k
            total += term
        return 1 - 2 / math.pi * (angle + sine * total)
    term = total = 1.0
    for k in range(2, degrees, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return 1 - sine * total


@cache
def student_bound(miss: float, degrees: int) -> float:
    """The t that is passed, on either side together, with probability `miss`."""
    low, high = 0.0, 1.0
    while student_probability(high, degrees) > miss and high < 1e12:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if student_probability(middle, degrees) > miss else (low, middle)
    return high


def widening(num: int, members: int) -> float:
    """The factor by which a 90 % interval grows when `num` of them are to hold together with probability 90 %.

    Bonferroni over the modules that were looked at: each interval may miss with probability 0.1 / num. It holds under any
    dependence between the modules' errors and needs no more than the module table, so that it can be worked out again from a
    report. Sidak's bound is a little narrower but assumes that the studentised errors are jointly t; a maximum over the ensemble
    would be narrower still, but a few members (errors of rank members - 1) know their own largest deviation badly. Student's t
    with members - 1 degrees of freedom, as the intervals themselves (`jackknife_half_width`): where an interval also
    holds a regression's error, which is normal, it becomes wider than need be.

    Args:
        num: modules looked at.
        members: size of the ensemble.
    """
    miss, degrees = 1 - CONFIDENCE, max(members - 1, 1)
    return student_bound(miss / max(num, 1), degrees) / student_bound(miss, degrees)
