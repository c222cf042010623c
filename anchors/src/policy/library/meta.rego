# Metadata that registrations must bring.
package library.meta

# One of these keys is missing or empty.
missing(keys) if {
	input.action == "service:register"
	some key in keys
	object.get(meta, key, "") == ""
}

# A key is there and has none of these values.
other_than(key, values) if {
	meta[key]
	not meta[key] in values
}

meta := pairs if {
	pairs := input.target.meta
	is_object(pairs)
} else := {}
