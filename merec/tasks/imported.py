"""What the processes of workers begin with; see `merec.server`."""

from merec.imports import importing

with importing():
    import merec.backbones
    import merec.tasks.training  # noqa: F401
