"""The server block of a zone whose keys roll while one looks on: a policy in seconds."""

# Of everything, in seconds: longer than it takes to look, so that caches are what is waited for.
TTL = 3

_BLOCK = """
{zone}:@PORT@ {{
    bind @ADDRESS@
    file {file}
    sign {{
        dnskey-ttl {ttl}s
        max-zone-ttl {ttl}s
        parent-ds-ttl {ttl}s
        propagation 1s
        parent-propagation 1s
        publish-safety 0s
        retire-safety 0s
        validity 1d
        refresh 6h
        jitter 1h
{lines}
    }}
}}
"""


def block(zone: str, file: str, *lines: str) -> str:
    """As the house takes it. `lines` are those of *sign* that say who the parent is, who is
    observed and what else there is."""
    return _BLOCK.format(zone=zone, file=file, ttl=TTL, lines="\n".join(lines))
