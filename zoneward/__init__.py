"""The command: CLI, supervisor, admin API."""
