"""Small honest run folders, and reports of them."""

from fake_runs import index, make_board, make_index, plain, report, runs, write_run

__all__ = ["index", "make_board", "make_index", "plain", "report", "runs", "write_run"]
