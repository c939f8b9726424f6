"""Backbones: torch modules that are independent of folds and tasks."""

from merec.backbones.dual_view import DualView
from merec.backbones.flow_streams import DualInception, OffApexNet
from merec.backbones.htnet import HTNet
from merec.backbones.lite_point_gcn import LitePointGCN
from merec.backbones.mmnet import MMNet
from merec.backbones.r3d_18 import R3D18
from merec.backbones.rcn_a import RCNA
from merec.backbones.ststnet import STSTNet

__all__ = [
    "R3D18",
    "RCNA",
    "DualInception",
    "DualView",
    "HTNet",
    "LitePointGCN",
    "MMNet",
    "OffApexNet",
    "STSTNet",
]
