"""Modules that worker processes have imported when they start; see `merec.forkserver`."""

from merec.imports import importing

with importing():
    import merec.backbones
    import merec.tasks.fold_trainer  # noqa: F401
