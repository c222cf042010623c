# What a scope holds already, those under it included. What is registered anew does not count beside itself.
package library.quotas

# One more instance would be more than so many in the scope.
instances(most) if {
	input.action == "service:register"
	input.facts.instances + 1 > most
}

# One more instance would be more than so many of this service.
instances_of_service(most) if {
	input.action == "service:register"
	input.facts.instances_of_service + 1 > most
}

# The scope holds so many service names, and this is another.
services(most) if {
	input.action == "service:register"
	input.facts.instances_of_service == 0
	input.facts.services + 1 > most
}

# The value would make more bytes of keys and values than so many.
kv_bytes(most) if {
	input.action == "key:write"
	input.facts.kv_bytes + input.target.bytes > most
}
