"""Reads GGUF files without an engine: what they hold, which model it is, how it talks."""
