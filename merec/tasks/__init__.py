"""Tasks: train networks fold by fold, train one network, or pretrain one."""

from merec.tasks.contrastive_module import Contrastive
from merec.tasks.finetune import Finetune
from merec.tasks.finetune_once import FinetuneOnce
from merec.tasks.leave_one_subject_out import LeaveOneSubjectOut
from merec.tasks.pretrain_once import Pretrain

__all__ = ["Contrastive", "Finetune", "FinetuneOnce", "LeaveOneSubjectOut", "Pretrain"]
