#!/bin/sh
# Install the name servers and tools that the tests talk to. As root it installs what is
# missing, starts no service, and leaves policy-rc.d as it found it; otherwise it says what
# to run.
set -eu

packages="unbound bind9 bind9-utils bind9-dnsutils knot knot-dnsutils knot-dnssecutils nsd
ldnsutils dnsperf pdns-server pdns-backend-sqlite3 libnet-epp-perl etcd-server
etcd-client fstrm-bin dnstap-ldns tcpdump"

missing=
for package in $packages; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "make peers: missing:$missing" >&2
    echo "make peers: run: sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

# Debian's way to install a server without starting it (invoke-rc.d asks this script).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -q=2
# shellcheck disable=SC2086  # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -q=2 --yes --no-install-recommends $missing
