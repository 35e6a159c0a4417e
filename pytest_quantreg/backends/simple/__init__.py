"""What a backend of one's own may begin with: the defaults of everything but the model."""

from .backend import SimpleBackend, SimpleEngine, digest, effective, machine, read

__all__ = ["SimpleBackend", "SimpleEngine", "digest", "effective", "machine", "read"]
