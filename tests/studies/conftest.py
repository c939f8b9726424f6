"""Small honest run folders, and those with predictions that a test makes itself."""

from fake_predictions import make_index as make_small_index
from fake_predictions import predict, reckon_interval
from fake_predictions import write_run as write_predicted
from fake_runs import index, make_board, make_index, plain, report, runs, write_run

__all__ = ["index", "make_board", "make_index", "make_small_index", "plain", "predict"]
__all__ += ["reckon_interval", "report", "runs", "write_predicted", "write_run"]
