package example.meta

import data.library.meta

decision contains {"outcome": "refuse", "rule": "meta"} if meta.missing(["owner", "release"])

decision contains {"outcome": "refuse", "rule": "meta/tier"} if meta.other_than("tier", ["1", "2"])

asked(pairs) := {"action": "service:register", "target": {"kind": "service", "name": "web", "meta": pairs}}

test_all_is_there if {
	count(decision) == 0 with input as asked({"owner": "a", "release": "1", "tier": "2"})
}

test_a_key_is_missing if {
	decision == {{"outcome": "refuse", "rule": "meta"}} with input as asked({"owner": "a"})
}

test_a_value_is_empty if {
	decision == {{"outcome": "refuse", "rule": "meta"}} with input as asked({"owner": "a", "release": ""})
}

test_no_metadata_at_all if {
	decision == {{"outcome": "refuse", "rule": "meta"}} with input as asked(null)
}

test_another_value if {
	decision == {{"outcome": "refuse", "rule": "meta/tier"}} with input as asked({"owner": "a", "release": "1", "tier": "3"})
}
