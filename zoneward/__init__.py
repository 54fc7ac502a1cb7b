"""The command: CLI, supervisor, admin API."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("zoneward")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0+unknown"
