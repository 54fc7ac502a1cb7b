"""The Rust core's thin Python face; see `engine/_native.pyi` for the contract."""

from engine._native import *  # noqa: F403
from engine._native import __version__ as __version__
