package example.office_hours

import data.library.office_hours

hours := {
	"days": ["monday", "tuesday", "wednesday", "thursday", "friday"],
	"from": "08:00",
	"until": "18:00",
	"utc_offset": 60,
}

decision contains {"outcome": "defer", "rule": "office_hours", "ttl": 60} if office_hours.closed(hours)

at(weekday, minute) := {"time": {"weekday": weekday, "minute_of_day": minute}}

test_open_in_the_morning if {
	count(decision) == 0 with input as at("monday", 420)
}

test_closed_before if {
	count(decision) == 1 with input as at("monday", 419)
}

test_closed_in_the_evening if {
	count(decision) == 1 with input as at("friday", 1020)
}

test_closed_on_sunday if {
	count(decision) == 1 with input as at("sunday", 600)
}

test_the_day_is_that_of_the_place if {
	office_hours.open({"days": ["monday"], "from": "00:00", "until": "01:00", "utc_offset": 60}) with input as at("sunday", 1410)
	office_hours.open({"days": ["sunday"], "from": "23:00", "until": "24:00", "utc_offset": -60}) with input as at("monday", 30)
}
