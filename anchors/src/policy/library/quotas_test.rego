package example.quotas

import data.library.quotas

decision contains {"outcome": "refuse", "rule": "quotas/instances"} if quotas.instances(3)

decision contains {"outcome": "defer", "rule": "quotas/service"} if quotas.instances_of_service(2)

decision contains {"outcome": "refuse", "rule": "quotas/services"} if quotas.services(2)

decision contains {"outcome": "refuse", "rule": "quotas/kv"} if quotas.kv_bytes(100)

asked(facts) := {"action": "service:register", "target": {"kind": "service", "name": "web"}, "facts": facts}

test_room_is_left if {
	count(decision) == 0 with input as asked({"services": 1, "instances": 2, "instances_of_service": 1})
}

test_one_instance_too_many if {
	{"outcome": "refuse", "rule": "quotas/instances"} in decision with input as asked({"services": 1, "instances": 3, "instances_of_service": 1})
}

test_one_of_a_service_too_many if {
	decision == {{"outcome": "defer", "rule": "quotas/service"}} with input as asked({"services": 1, "instances": 2, "instances_of_service": 2})
}

test_one_name_too_many if {
	decision == {{"outcome": "refuse", "rule": "quotas/services"}} with input as asked({"services": 2, "instances": 2, "instances_of_service": 0})
}

test_a_value_too_large if {
	decision == {{"outcome": "refuse", "rule": "quotas/kv"}} with input as {"action": "key:write", "target": {"kind": "key", "name": "a", "bytes": 60}, "facts": {"kv_bytes": 50}}
}

test_a_read_takes_no_room if {
	count(decision) == 0 with input as {"action": "service:read", "target": {"kind": "service", "name": "web"}, "facts": {"services": 9, "instances": 9, "instances_of_service": 9}}
}
