"""The Corefile: the configuration language of CoreDNS, with a leading block of global options.

`parse` and `load` give a `Corefile` of frozen values in which every word has its place; what
the words mean is the business of each directive's owner (`owners.OWNER`), who reads them with
`corefile.arguments`.
"""

from corefile.directive import Block, Corefile, Directive
from corefile.ids import block_id
from corefile.keys import Key
from corefile.lexer import Token
from corefile.parser import load, parse
from corefile.place import CorefileError, CorefileWarning, Place

__all__ = [
    "Block",
    "Corefile",
    "CorefileError",
    "CorefileWarning",
    "Directive",
    "Key",
    "Place",
    "Token",
    "block_id",
    "load",
    "parse",
]
