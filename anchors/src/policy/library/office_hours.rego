# Hours of the week. Times are texts like "08:30", by a clock that is so many minutes east of UTC.
package library.office_hours

# It is none of these days, or not between these times.
# hours := {"days": ["monday", …], "from": "08:00", "until": "18:00", "utc_offset": 60}
closed(hours) if {
	not open(hours)
}

# It is one of these days, and between these times.
open(hours) if {
	minute := input.time.minute_of_day + hours.utc_offset
	day(minute) in hours.days
	now := (minute + 1440) % 1440
	now >= minutes(hours.from)
	now < minutes(hours.until)
}

week := ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

# The day there: yesterday, today or tomorrow in UTC.
day(minute) := week[(today + shift(minute) + 7) % 7] if {
	some today, name in week
	name == input.time.weekday
}

shift(minute) := -1 if minute < 0

shift(minute) := 1 if minute >= 1440

shift(minute) := 0 if {
	minute >= 0
	minute < 1440
}

minutes(text) := (two_digits(parts[0]) * 60) + two_digits(parts[1]) if {
	parts := split(text, ":")
}

# "08" is no number.
two_digits(text) := to_number(concat("", ["1", text])) - 100
