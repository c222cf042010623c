package example.addresses

import data.library.addresses

decision contains {"outcome": "refuse", "rule": "addresses"} if addresses.target_outside(["10.0.0.0/8", "fd00::/8"])

decision contains {"outcome": "refuse", "rule": "addresses/caller"} if addresses.caller_outside(["127.0.0.0/8", "10.1.0.0/16"])

asked(target, caller) := {"target": {"kind": "service", "name": "web", "address": target}, "caller": {"source": caller}}

test_within if {
	count(decision) == 0 with input as asked("10.2.3.4", "10.1.0.9")
	count(decision) == 0 with input as asked("fd00::1", "127.0.0.1")
}

test_the_instance_is_elsewhere if {
	decision == {{"outcome": "refuse", "rule": "addresses"}} with input as asked("192.168.0.1", "127.0.0.1")
}

test_a_host_name_is_in_no_range if {
	decision == {{"outcome": "refuse", "rule": "addresses"}} with input as asked("web.example.com", "127.0.0.1")
}

test_the_caller_is_elsewhere if {
	decision == {{"outcome": "refuse", "rule": "addresses/caller"}} with input as asked("10.0.0.1", "10.2.0.1")
}

test_the_program_itself if {
	count(decision) == 0 with input as asked("10.0.0.1", null)
}
