# Addresses, by ranges in CIDR notation.
package library.addresses

# The instance's address is none of these ranges. A host name is in none.
target_outside(ranges) if {
	is_string(input.target.address)
	not within(input.target.address, ranges)
}

# Whoever asks comes from none of these ranges. Without an address it is the program itself.
caller_outside(ranges) if {
	is_string(input.caller.source)
	not within(input.caller.source, ranges)
}

within(address, ranges) if {
	some outer in ranges
	net.cidr_contains(outer, address)
}
