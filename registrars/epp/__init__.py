"""EPP, the protocol of registries: RFC 5730, domains by RFC 5731, over TLS by RFC 5734, DNSSEC by
RFC 5910. For who is a registrar, or has an account that speaks EPP.

The client is our own. Of the libraries on PyPI, pyepp is kept, but is under the GPL, has no
secDNS:update and carries no types; heppy and Python-EPP call themselves early work.

    settings   the Corefile's lines
    frames     octets on the wire              tree       XML, read as from an enemy
    commands   what is asked                   responses  what is answered
    domain     domain:info, panData            secdns     DS and keys in both directions
    connection one TLS connection              session    greeting, login, who is answered
    operations what is pending                 results    a result code in words
    driver     the registrar
"""
