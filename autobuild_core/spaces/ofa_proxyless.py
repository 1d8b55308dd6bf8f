"""Once-for-all ProxylessNAS: six stages of inverted residual layers, the sixth of a single one."""

from typing import final

from autobuild_core.spaces._ofa import OfaSpace


@final
class OfaProxyless(OfaSpace):
    """Tokens "mbconv2_e4_k5". The sixth stage joins the fifth unit, so that there are 4 x 7,371 + 9 x 7,371 = 95,823 modules.

    Ours to say: the layer of the sixth stage is the last of its unit, whatever the unit's depth; it has no position of its own.
    """

    title = "Once-for-all ProxylessNAS"
    prefix = "mbconv2"
    stages = (*((2, 3, 4),) * 5, (1,))
