"""What a project writes for the plugin in its pyproject.toml, read and checked."""
