"""The verbs of the command line that are more than a call, their arguments and their help."""
