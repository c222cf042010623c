# Tags of instances.
package library.tags

# One of these tags is missing.
missing(tags) if {
	input.target.tags
	some tag in tags
	not tag in input.target.tags
}

# The instance has one of these tags.
any_of(tags) if {
	some tag in input.target.tags
	tag in tags
}

# There are more tags than so many.
more_than(amount) if {
	count(input.target.tags) > amount
}
