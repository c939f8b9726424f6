"""What looks at the samples: torch modules that know nothing of folds or tasks."""

from merec.backbones.dual_view import DualView
from merec.backbones.flow_streams import DualInception, OffApexNet
from merec.backbones.lite_point_gcn import LitePointGCN
from merec.backbones.ststnet import STSTNet

__all__ = ["DualInception", "DualView", "LitePointGCN", "OffApexNet", "STSTNet"]
