# Names of services and keys.
package library.names

# The name is none that begins with one of these.
outside(prefixes) if {
	not begins(prefixes)
}

# The name begins with one of these.
begins(prefixes) if {
	some prefix in prefixes
	startswith(input.target.name, prefix)
}

# The name, as it was written, does not match a pattern as a whole.
unlike(pattern) if {
	written := object.get(input.target, "spelled", input.target.name)
	not regex.match(concat("", ["^(?:", pattern, ")$"]), written)
}

# The name of the service is none that DNS can carry as one label.
unresolvable if {
	input.target.kind == "service"
	not regex.match(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`, input.target.name)
}
