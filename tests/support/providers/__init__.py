"""Strict local stand-ins for the HTTP APIs of registrars, one state machine each, by the
providers' own documents."""
