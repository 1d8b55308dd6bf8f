"""Once-for-all MobileNetV3: five units of two to four inverted residual layers."""

from typing import final

from autobuild_core.spaces._ofa import OfaSpace


@final
class OfaMbv3(OfaSpace):
    """Tokens "mbconv3_e4_k5"; 7,371 modules a unit, 36,855 in all."""

    title = "Once-for-all MobileNetV3"
    prefix = "mbconv3"
    stages = ((2, 3, 4),) * 5
