# Ports of instances.
package library.ports

# One of the ports lies outside of a range. An instance without a port has none.
outside(from, until) if {
	some port in input.target.ports
	not within(port, from, until)
}

within(port, from, until) if {
	port >= from
	port <= until
}

# One of the ports is one of these.
among(ports) if {
	some port in input.target.ports
	port in ports
}
