"""The plugin API, the built-in plugins, listeners."""
