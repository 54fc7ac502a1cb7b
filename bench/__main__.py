"""`make bench`: ratios against the peers in the same run; absolute figures prove nothing on
a machine that others use."""

import argparse
import tempfile
from pathlib import Path

from bench import batch, cache, etcd, lines, manyzones, memory, queries, stages, work

PARTS = (
    *("queries", "cache", "stages", "signing", "verifying", "loading", "memory", "manyzones"),
    *("etcd", "lines"),
)


def records_of(zone: Path) -> int:
    with zone.open("rb") as text:
        return sum(1 for line in text if line.strip() and not line.startswith((b";", b"$")))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be repeated")
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load a server a round")
    parser.add_argument("--zones", type=int, default=10_000, help="of manyzones")
    parser.add_argument("--rest", type=float, default=120.0, help="seconds at rest of manyzones")
    parser.add_argument("--services", type=int, default=10_000, help="of etcd")
    parser.add_argument("--stream", type=float, default=60.0, help="seconds of changes of etcd")
    chosen = parser.parse_args()
    parts = chosen.only or PARTS
    with tempfile.TemporaryDirectory(prefix="zoneward-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        unsigned, signed = folder / "bench.zone", folder / "bench.signed"
        count = work.write_zone(unsigned, chosen.names)
        print(f"{chosen.names} names, {count} records, ECDSA P-256, NSEC")
        sign = [batch.ZONEWARD, "sign", "--origin", work.ORIGIN, "--generate", "ECDSAP256SHA256"]
        batch.timed([*sign, str(unsigned), "-o", str(signed)], folder)
        if "queries" in parts:
            asked = folder / "queries"
            work.write_queries(asked, chosen.names)
            print(queries.run(signed, asked, folder, chosen.rounds, chosen.seconds))
        if "cache" in parts:
            print(cache.run(signed, folder / "cache", chosen.rounds, chosen.seconds))
        if "stages" in parts:
            few, few_signed = folder / "few.zone", folder / "few.signed"
            work.write_zone(few, stages.NAMES)
            batch.timed([*sign, str(few), "-o", str(few_signed)], folder)
            print(stages.run(few_signed, folder / "stages", chosen.rounds, chosen.seconds))
        if "signing" in parts:
            print(batch.signing(unsigned, folder / "signing", min(chosen.rounds, 5)))
        if "verifying" in parts:
            print(batch.verifying(signed, folder, min(chosen.rounds, 3)))
        if "loading" in parts:
            print(batch.loading(signed, folder, chosen.rounds))
        if "memory" in parts:
            small, small_signed = folder / "small.zone", folder / "small.signed"
            work.write_zone(small, chosen.names // 4)
            batch.timed([*sign, str(small), "-o", str(small_signed)], folder)
            zones = {records_of(small_signed): small_signed, records_of(signed): signed}
            print(memory.run(zones, folder / "memory"))
        if "manyzones" in parts:
            print(manyzones.run(folder / "manyzones", chosen.zones, chosen.rest))
        if "etcd" in parts:
            print(
                etcd.run(
                    folder / "etcd",
                    chosen.services,
                    chosen.rounds,
                    chosen.seconds,
                    chosen.stream,
                )
            )
        if "lines" in parts:
            print(lines.run())


if __name__ == "__main__":
    main()
