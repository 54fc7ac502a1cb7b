"""In which story each part that is taken out is missed, and which the others imply."""

RULES_FOUND = {
    "one key, side by side": ("_pair: without if comes[0][at] != '-'",),
    "adopted for another algorithm": ("forbids: without or leaving",),
    "insecure": ("forbids: without and not insecure",),
    "key signing key, DS first": (
        "dnskey_swapped: without R-RO",
        "R2: without DNSKEY swapped under two DS that are everywhere dnske...",
    ),
    "rules: algorithm": ("R1: a DS is everywhere ds_there without whole_zone",),
    "rules: algorithm before the first DS": (
        "dnskey_hidden_or_signing: without or key.hidden(_DNSKEY)",
        "dnskey_hidden_or_signing: without or key.states[_DNSKEY] in signing",
        "R3: without each DNSKEY hidden or matched by signatures dnskey_hi...",
        "R3: all DS hidden unanchored without whole_zone",
    ),
    "rules: first key": (
        "_pair: without if key.matches(leaves)",
        "ds_hidden_or_chained: without or key.hidden(_DS)",
        "ds_hidden_or_chained: without or key.matches('O-O-')",
        "ds_hidden_or_chained: --O- for O-O-",
        "ds_hidden_or_chained: O--- for O-O-",
        "signed_everywhere: O--- for OO--",
        "signatures_swapped: O--- for OU--",
        "dnskey_hidden_or_signing: without if key.matches('-O--')",
        "dnskey_hidden_or_signing: ---- for -O--",
        "R2: without each DS hidden or its key everywhere ds_hidden_or_cha...",
        "forbids: without and not rule.holds(after, algorithm)",
        "forbids: without and leaving or rule.holds(before, algorithm)",
        "forbids: without or rule.holds(before, algorithm)",
        "forbids: without and breaks(R1, own.algorithm)",
        "forbids: without if any((breaks(rule, algorithm) for algorithm in algo...",
        "forbids: without if breaks(rule, own.algorithm)",
    ),
    "rules: insecure and back, two keys": ("R3: without all DS hidden unanchored",),
    "rules: key signing key": (
        "_took_over: without if new.states[at] == 'R'",
        "ds_there: ---- for ---O",
        "dnskey_everywhere: --OO for O-OO",
        "dnskey_everywhere: O--O for O-OO",
        "dnskey_everywhere: O-O- for O-OO",
        "dnskey_swapped: ---O for --UO",
        "dnskey_swapped: --U- for --UO",
        "dnskey_swapped: without R-OO",
        "dnskey_swapped: --RO for R-RO",
        "dnskey_swapped: R--O for R-RO",
        "dnskey_swapped: R-R- for R-RO",
        "dnskey_swapped: --OO for R-OO",
        "dnskey_swapped: R--O for R-OO",
        "dnskey_swapped: R-O- for R-OO",
        "forbids: without if not insecure and breaks(R1, own.algorithm): return",
    ),
    "rules: key signing keys, one that returns, DS first": (
        "R2: without a key is everywhere, with its DS dnskey_everywhere",
    ),
    "rules: zone key": (
        "_pair: without if any((key.matches(mask) for mask in comes))",
        "signed_everywhere: -O-- for OO--",
        "signatures_swapped: -U-- for OU--",
        "signatures_swapped: -R-- for OR--",
        "signatures_swapped: O--- for OR--",
        "R3: without a key and its signatures are everywhere signed_everyw...",
        "forbids: without if row.fingerprint == fingerprint",
    ),
    "zone key": (
        "_took_over: without if old.states[at] == 'U'",
        "R3: without signatures swapped under DNSKEY of both signatures_sw...",
    ),
}

CONDITIONS_FOUND = {
    "algorithm and back, its DS going": (
        "_ds_gone_first: without if any((key.visible(RecordKind.DS) for key in at.keys...",
        "CONDITIONS: without DS gone first DS _R",
    ),
    "a lost key and its successor, which was standing by": (
        "_another_ds: without and _can_take_over(key)",
    ),
    "a lost key of a new algorithm": (
        "_another_ds: without and key.algorithm == at.key.algorithm or key.goal is ...",
        "CONDITIONS: without another DS DS _U",
    ),
    "a lost key of an algorithm that is left": (
        "frozen_by: without and key.state(RecordKind.DS) not in (None, _H)",
        "_another_ds: without if any((_can_take_over(key) and (key.algorithm == at....",
        "_another_ds: without or key.goal is Goal.OMNIPRESENT",
    ),
    "a lost key of an algorithm that is left, one by one": (
        "_can_be_signed: without and lost.algorithm == at.key.algorithm",
    ),
    "a lost key signing key": (
        "double_ds: without if any((lost.algorithm == key.algorithm for lost in f...",
        "_can_take_over: without and not key.lost",
        "frozen_by: without if _can_take_over(key)",
    ),
    "a lost key signing key in a rollover, DS first, another signer": (
        "_can_take_over: without and key.visible(RecordKind.KRRSIG)",
    ),
    "a lost key signing key, another standing by with DS": (
        "_can_be_signed: without and not at.key.standby",
        "_can_be_signed: without and able",
    ),
    "a lost key that was replaced, algorithm": ("frozen_by: without and key.lost",),
    "a lost key, insecure": ("_another_ds: without if at.insecure: return",),
    "a lost key, the DS to come, another algorithm": ("CONDITIONS: without a lost key DNSKEY _R",),
    "a lost predecessor, a new zone key": (
        "_can_take_over: without and key.state(RecordKind.DS) is _O",
    ),
    "a lost successor, not needed yet": ("frozen_by: without and key.algorithm not in able",),
    "a new zone key on its way out, a lost key signing key": (
        "_can_be_signed: without and at.key.state(RecordKind.DS) is _O",
        "CONDITIONS: without a lost key DNSKEY _U",
    ),
    "a registrar, late": (
        "_ds_first: without and at.policy.ds is DsMode.DOUBLE_DS",
        "CONDITIONS: without KRRSIG after DS KRRSIG _U",
    ),
    "algorithm": (
        "_zone_key_stays: without if not shown or any((other.visible(RecordKind.ZRRSIG)...",
        "_zone_key_stays: without or not shown",
        "_ds_first: without and new is not None",
        "_foreign_goes_first: without if not any((foreign.algorithm == at.key.algorithm and...",
    ),
    "algorithm, two keys": ("_zone_key_stays: without if other.visible(RecordKind.DNSKEY)",),
    "another signer of an algorithm that is left": (
        "_foreign_goes_first: without and foreign.record.state is not _H",
    ),
    "another signer of the new algorithm": (
        "_foreign_goes_first: without and foreign.algorithm == at.key.algorithm",
    ),
    "another signer stays, algorithm": ("CONDITIONS: without foreign DNSKEY DNSKEY _U",),
    "another signer, insecure": ("_foreign_goes_first: without if at.insecure: return",),
    "another signer, one key": (
        "_foreign_goes_first: without if any((other.visible(RecordKind.DNSKEY) for other in...",
    ),
    "back from insecure in a rollover, DS first": (
        "double_ds: without or old.state(RecordKind.DS) not in (_R, _O)",
    ),
    "back from insecure, standing by": ("_version_is_complete: without and not other.standby",),
    "first key": (
        "double_ds: without or old is None",
        "_can_be_signed: without if all((able and lost.algorithm == at.key.algorithm f...",
        "_signs_once_known: without if not any((other.visible(RecordKind.ZRRSIG) for othe...",
        "_version_is_complete: without and key.record(RecordKind.ZRRSIG) is None",
        "_own_ds_first: without and double_ds(at.keyset, at.key, at.policy)",
        "_dnskey_first: without if double_ds(at.keyset, at.key, at.policy) or at.key....",
        "_dnskey_first: without or at.key.state(RecordKind.DNSKEY) is _O",
    ),
    "first key, DS first": (
        "double_ds: without if old is None or old.state(RecordKind.DS) not in (_R...",
    ),
    "first keys": (
        "_version_is_complete: without if key.record(RecordKind.ZRRSIG) is None and (not any...",
        "_version_is_complete: without and not any((other.visible(RecordKind.ZRRSIG) for oth...",
        "CONDITIONS: without complete version DNSKEY _R",
    ),
    "insecure": ("_key_set_stays_signed: without if at.insecure: return",),
    "insecure and back, two keys": (
        "_version_is_complete: without and other.record(RecordKind.KRRSIG) is not None",
    ),
    "key signing key": (
        "_ds_gone_first: without if at.key.state(RecordKind.DS) is not _U: return",
        "_key_set_stays_signed: without if any((key.fingerprint != at.key.fingerprint and key...",
        "CONDITIONS: without DS after DNSKEY DS _R",
        "CONDITIONS: without DNSKEY after DS DNSKEY _U",
    ),
    "key signing key, DS first": (
        "_own_ds_first: without if double_ds(at.keyset, at.key, at.policy) and at.key...",
        "_own_ds_first: without and at.key.state(RecordKind.DS) is not _O",
        "_dnskey_first: without or double_ds(at.keyset, at.key, at.policy)",
        "_ds_first: without if doubled and at.policy.ds is DsMode.DOUBLE_DS: return",
        "CONDITIONS: without KRRSIG after DNSKEY KRRSIG _R",
        "CONDITIONS: without double DS DNSKEY _R",
    ),
    "key signing keys, one upon another, its DS not there yet": (
        "_another_ds: without or key.algorithm == at.key.algorithm",
    ),
    "keystore away, a lost first key": ("_version_is_complete: without and not other.lost",),
    "keystore away, algorithm first, its key lost": (
        "_zone_stays_signed: without if any((key.visible(RecordKind.DNSKEY) for key in (at...",
        "_key_set_stays_signed: without and key.fingerprint != at.key.fingerprint",
        "_key_set_stays_signed: without and key.visible(RecordKind.KRRSIG)",
        "CONDITIONS: without signatures after DNSKEY ZRRSIG _U",
        "CONDITIONS: without DNSKEY RRset signed KRRSIG _U",
        "CONDITIONS: without DNSKEY RRset signed DNSKEY _U",
    ),
    "keystore away, algorithm first, two keys, one lost": (
        "CONDITIONS: without zone key stays DNSKEY _U",
    ),
    "keystore away, back from insecure": (
        "_version_is_complete: without and other.goal is Goal.OMNIPRESENT",
    ),
    "keystore away, zone key": ("CONDITIONS: without a lost key ZRRSIG _R",),
    "layout back in a rollover, DS first": (
        "_ds_first: without and new.state(RecordKind.DS) is _O",
        "_ds_first: without and doubled",
    ),
    "two lost keys, and a successor of both that is lost": (
        "_can_be_signed: without and not at.key.lost",
    ),
    "zone key": (
        "_signs_once_known: without if at.key.state(RecordKind.DNSKEY) is _O: return",
        "_version_is_complete: without if any((other.record(RecordKind.KRRSIG) is not None a...",
        "_ds_first: without if at.key.state(RecordKind.DS) in (None, _H): return",
        "_zone_stays_signed: without if any((other.visible(RecordKind.ZRRSIG) for other in...",
        "_zone_key_stays: without or any((other.visible(RecordKind.ZRRSIG) for other in...",
        "CONDITIONS: without signing after DNSKEY ZRRSIG _R",
    ),
}

# What the rest of the machine sees to as well: how.
IMPLIED = {
    "CONDITIONS: without a lost key KRRSIG _R": (
        "a DNSKEY is not shown for the first time once its key is lost, and who is shown signs"
    ),
}
