"""Verbs of the command line (one file each), with their arguments and help."""

VERBS = (
    "train",
    "report",
    "compare",
    "dashboard",
    "synthesize",
    "doctor",
    "inspect",
    "predict",
    "prepare",
    "export",
    "new",
    "completion",
)
