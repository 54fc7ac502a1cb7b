"""The subcommands of `zoneward`, a module each."""
