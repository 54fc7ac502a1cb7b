; Many delegations, few of them signed: NSEC3 with opt-out (RFC 5155 section 6).
$ORIGIN example.com.
$TTL 1h
@           SOA     ns1 hostmaster 2026010100 1h 15m 2w 5m
            NS      ns1
            NS      ns2
            MX      10 mail
            TXT     "an example"
ns1         A       192.0.2.54
ns2         A       198.51.100.54
mail        A       192.0.2.26
www         A       192.0.2.82
            AAAA    2001:db8::82
alias       CNAME   www
*.pages     A       192.0.2.83
leaf.empty  TXT     "below an empty non-terminal"

$GENERATE 1-8 customer$ NS ns1.customer$
$GENERATE 1-8 ns1.customer$ A 203.0.113.$
signed      NS      ns1.signed
            DS      4711 13 2 ( 1c2d3e4f5061728394a5b6c7d8e9fa0b
                                1c2d3e4f5061728394a5b6c7d8e9fa0b )
ns1.signed  A       203.0.113.40
