package example.tags

import data.library.tags

decision contains {"outcome": "refuse", "rule": "tags/missing"} if tags.missing(["team"])

decision contains {"outcome": "defer", "rule": "tags/canary"} if tags.any_of(["canary"])

decision contains {"outcome": "refuse", "rule": "tags/many"} if tags.more_than(2)

asked(all) := {"target": {"kind": "service", "name": "web", "tags": all}}

test_the_wanted_tag_passes if {
	count(decision) == 0 with input as asked(["team"])
}

test_a_missing_tag_is_refused if {
	decision == {{"outcome": "refuse", "rule": "tags/missing"}} with input as asked([])
}

test_a_canary_waits if {
	decision == {{"outcome": "defer", "rule": "tags/canary"}} with input as asked(["team", "canary"])
}

test_too_many_tags if {
	decision == {{"outcome": "refuse", "rule": "tags/many"}} with input as asked(["team", "a", "b"])
}
