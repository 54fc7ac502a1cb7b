"""The work that everybody gets: a delegation-heavy zone and a mix of queries for it.

A hundred thousand names make 145 thousand records: every name has an A, every fourth an AAAA,
and beside every tenth stands a delegation with glue. A fixed seed makes it the same every time.
"""

import random
from pathlib import Path

ORIGIN = "bench.test."
SEED = 20240229


def write_zone(path: Path, names: int) -> int:
    """Write the unsigned zone of `names` names; gives the number of records."""
    records = 4
    with path.open("w", encoding="ascii") as out:
        out.write(f"$ORIGIN {ORIGIN}\n$TTL 3600\n")
        out.write("@ SOA ns1 hostmaster 1 7200 900 1209600 300\n")
        out.write("@ NS ns1\n@ MX 10 host1\nns1 A 192.0.2.1\n")
        for number in range(names):
            address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
            out.write(f"host{number} A {address}\n")
            records += 1
            if number % 4 == 0:
                out.write(f"host{number} AAAA 2001:db8::{number >> 16:x}:{number & 65535:x}\n")
                records += 1
            if number % 10 == 0:
                out.write(f"sub{number} NS ns.sub{number}\nns.sub{number} A {address}\n")
                records += 2
    return records


def write_queries(path: Path, names: int, count: int = 200_000) -> None:
    """60 % A, 15 % AAAA, 10 % NXDOMAIN, 10 % referral, 5 % apex MX, in random order."""
    chance = random.Random(SEED)

    with path.open("w", encoding="ascii") as out:
        for _ in range(count):
            kind = chance.random()
            if kind < 0.60:
                line = f"host{chance.randrange(names)}.{ORIGIN} A"
            elif kind < 0.75:
                line = f"host{chance.randrange(names)}.{ORIGIN} AAAA"
            elif kind < 0.85:
                line = f"no{chance.randrange(10**9)}.{ORIGIN} A"
            elif kind < 0.95:
                line = f"www.sub{chance.randrange(names // 10) * 10}.{ORIGIN} A"
            else:
                line = f"{ORIGIN} MX"
            out.write(line + "\n")
