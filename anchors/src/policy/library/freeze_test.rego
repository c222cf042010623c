package example.freeze

import data.library.freeze

windows := [{"from": "2026-12-24", "until": "2027-01-02"}, {"from": "2027-03-31T18:00:00Z", "until": "2027-03-31T20:00:00Z"}]

decision contains {"outcome": "defer", "rule": "freeze", "ttl": 300} if {
	input.action == "service:register"
	freeze.frozen(windows)
}

at(time) := {"action": "service:register", "time": {"rfc3339": time}}

test_before if {
	count(decision) == 0 with input as at("2026-12-23T23:59:59Z")
}

test_from_the_first_second_on if {
	count(decision) == 1 with input as at("2026-12-24T00:00:00Z")
}

test_until_the_last_second if {
	count(decision) == 1 with input as at("2027-01-01T23:59:59Z")
	count(decision) == 0 with input as at("2027-01-02T00:00:00Z")
}

test_hours_of_a_day if {
	count(decision) == 1 with input as at("2027-03-31T19:00:00Z")
	count(decision) == 0 with input as at("2027-03-31T20:00:00Z")
}
