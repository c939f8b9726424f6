"""What the processes of workers begin with; see `merec.forkserver`."""

from merec.imports import importing

with importing():
    import merec.backbones
    import merec.tasks.fold_trainer  # noqa: F401
