# Windows in which nothing is to change. Times are texts like "2026-12-24" or "2026-12-24T18:00:00Z", in UTC.
package library.freeze

# It is within one of the windows: from the first time on, before the second.
# windows := [{"from": "2026-12-24", "until": "2027-01-02"}, …]
frozen(windows) if {
	some window in windows
	input.time.rfc3339 >= window.from
	input.time.rfc3339 < window.until
}
