"""DeFlow as the degradation model of tables 4 and 5: its network and training with the two published configurations.

Clean images are the bicubic reductions of the high-resolution photographs, degraded ones the real low-quality images;
`sample` makes the low-resolution side of the pairs that ESRGAN then trains on. Images are handled whole, as the
published program does on a CPU; tiles would need an overlap of the encoder's field.
"""

from __future__ import annotations

from baselines.base import Scale
from baselines.noise.deflow.model import DeFlow, aim19, smaller
from baselines.noise.deflow.training import DeFlowSettings


class DeFlowAIM19(DeFlow):
    """Scale 8, coupling width 128, matched channel statistics: the published ones at paper scale, else measured."""

    name = "deflow-aim19"

    @classmethod
    def default_settings(cls, scale: Scale) -> DeFlowSettings:
        return smaller(aim19(), scale)


class DeFlowNTIRE20(DeFlow):
    """Scale 4, coupling width 64, no matching."""

    name = "deflow-ntire20"
