package example.ports

import data.library.ports

decision contains {"outcome": "refuse", "rule": "ports"} if ports.outside(1024, 65535)

decision contains {"outcome": "refuse", "rule": "ports/reserved"} if ports.among([8300, 8500, 8600])

asked(all) := {"target": {"kind": "service", "name": "web", "ports": all}}

test_a_port_in_the_range_passes if {
	count(decision) == 0 with input as asked([8080, 1024, 65535])
}

test_no_port_passes if {
	count(decision) == 0 with input as asked([])
}

test_a_port_below_is_refused if {
	decision == {{"outcome": "refuse", "rule": "ports"}} with input as asked([8080, 80])
}

test_a_reserved_port_is_refused if {
	decision == {{"outcome": "refuse", "rule": "ports/reserved"}} with input as asked([8500])
}

test_a_read_has_no_ports if {
	count(decision) == 0 with input as {"target": {"kind": "service", "name": "web"}}
}
