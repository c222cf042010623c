package example.names

import data.library.names

decision contains {"outcome": "refuse", "rule": "names"} if {
	input.action == "service:register"
	names.outside(["payments-", "ledger"])
}

decision contains {"outcome": "refuse", "rule": "names/dns"} if names.unresolvable

decision contains {"outcome": "defer", "rule": "names/pattern"} if names.unlike(`[a-z_-]+`)

asked(name) := {"action": "service:register", "target": {"kind": "service", "name": name}}

test_a_name_of_the_team_passes if {
	count(decision) == 0 with input as asked("payments-api")
}

test_another_name_is_refused if {
	decision == {{"outcome": "refuse", "rule": "names"}} with input as asked("web")
}

test_a_name_that_dns_cannot_carry if {
	{"outcome": "refuse", "rule": "names/dns"} in decision with input as asked("payments-api_v")
}

test_a_name_of_another_pattern if {
	decision == {{"outcome": "defer", "rule": "names/pattern"}} with input as asked("payments-Api")
}
