"""The verbs of the command line, a file each, their arguments and their help."""

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
