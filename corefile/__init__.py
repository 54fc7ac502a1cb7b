"""The config language: lexer, directives with their place, argument readers, errors."""
