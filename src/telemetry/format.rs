//! How a line of the log looks: Consul's text, or one flat JSON object with the keys that its readers expect.

use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes an event as one line.
pub(super) struct Line {
    pub(super) json: bool,
}

/// An event's message and fields.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        out.write_str(&line(event, self.json))
    }
}

/// An event as one line, with its line break.
pub(super) fn line(event: &Event<'_>, json: bool) -> String {
    let mut said = Said::default();
    event.record(&mut said);
    let module = event.metadata().target().replacen("::", ".", usize::MAX);
    let mut out = String::new();
    if json {
        said.write_json(&mut out, event, module);
    } else {
        // A string takes everything.
        let _ = said.write_text(&mut out, event, &module);
    }
    out
}

// === impl Said ===

impl Said {
    fn write_text(&self, out: &mut String, event: &Event<'_>, module: &str) -> fmt::Result {
        let level = format!("[{}]", level(event));
        write!(out, "{} {level:<7} {module}: {}", timestamp(), self.message)?;
        for (at, (name, value)) in self.fields.iter().enumerate() {
            let before = if at == 0 { ": " } else { " " };
            match value {
                Value::String(text) if !text.contains([' ', '"', '\n']) => {
                    write!(out, "{before}{name}={text}")?
                }
                value => write!(out, "{before}{name}={value}")?,
            }
        }
        writeln!(out)
    }

    fn write_json(self, out: &mut String, event: &Event<'_>, module: String) {
        let mut line = Map::new();
        line.insert("@level".to_owned(), level(event).to_lowercase().into());
        line.insert("@message".to_owned(), self.message.into());
        line.insert("@module".to_owned(), module.into());
        line.insert("@timestamp".to_owned(), timestamp().into());
        line.extend(self.fields);
        out.push_str(&Value::Object(line).to_string());
        out.push('\n');
    }

    fn say(&mut self, field: &Field, value: Value) {
        match field.name() {
            "message" => {
                self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            }
            name => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.say(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.say(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.say(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.say(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.say(field, value.into());
    }
}

fn level(event: &Event<'_>) -> &'static str {
    match *event.metadata().level() {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// Now in UTC to the millisecond: `2026-11-20T09:03:05.246Z`.
fn timestamp() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut text = clock(since.as_secs(), 'T');
    let _ = write!(text, ".{:03}Z", since.subsec_millis());
    text
}

/// Seconds since 1970 as date and time of day in UTC, with this between them.
pub(super) fn clock(seconds: u64, between: char) -> String {
    let since = Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX));
    let at = OffsetDateTime::UNIX_EPOCH.saturating_add(since);
    let ((year, month, day), (hour, minute, second)) = (at.to_calendar_date(), at.to_hms());
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn dates_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_795_165_385, "2026-11-20T09:03:05"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(clock(seconds, 'T'), text);
        }
    }
}
