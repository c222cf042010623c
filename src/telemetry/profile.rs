//! Profiles of the running program in pprof's format (`profile.proto`, gzipped): where the time goes, where the memory is,
//! which threads there are.
//!
//! The format is written by hand: it is a dozen fields of protocol buffers, in which strings, functions and places are
//! told once and then named by number. Source: the `proto/profile.proto` of github.com/google/pprof.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;

/// How often a second it is looked where the program is.
const HERTZ: i32 = 100;
/// Libraries in whose midst no stack is taken: their own unwinding may hold a lock.
const UNTOUCHED: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

/// Where the program was during this time.
///
/// # Errors
/// When the timer cannot be had: another profile is being taken.
pub(crate) async fn processor(during: Duration) -> Result<Vec<u8>, String> {
    let guard = pprof::ProfilerGuardBuilder::default()
        .frequency(HERTZ)
        .blocklist(&UNTOUCHED)
        .build()
        .map_err(|error| format!("Could not enable CPU profiling: {error}"))?;
    tokio::time::sleep(during).await;
    let report = guard.report().build().map_err(|error| error.to_string())?;
    drop(guard);
    let period = 1_000_000_000 / i64::from(HERTZ);
    let mut profile = Profile::new(&[("samples", "count"), ("cpu", "nanoseconds")]);
    profile.period("cpu", "nanoseconds", period);
    for (frames, count) in &report.data {
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        let places = frames.frames.iter().flatten().map(|symbol| {
            (symbol.name(), symbol.filename().into_owned(), u64::from(symbol.lineno()))
        });
        let places = places.skip_while(|(name, file, _)| is_profiler(name, file));
        let places = places.map(|(name, file, line)| (shown(&name), file, line));
        profile.sample(places, &[count, count.saturating_mul(period)]);
    }
    Ok(profile.finish(during))
}

/// From now on it is kept in mind who holds memory: one in about half a million bytes.
pub(crate) async fn watch_memory() {
    jemalloc_pprof::activate_jemalloc_profiling().await;
}

/// Who holds memory that was taken since this is watched; the first to ask begins to watch.
///
/// # Errors
/// When the allocator was built without profiling, or tells nothing.
pub(crate) async fn memory() -> Result<Vec<u8>, String> {
    watch_memory().await;
    let control = jemalloc_pprof::PROF_CTL.as_ref();
    let mut control = control.ok_or("the allocator was built without profiling")?.lock().await;
    // It goes by way of a file.
    tokio::task::block_in_place(|| control.dump_pprof()).map_err(|error| error.to_string())
}

/// Whether a place belongs to who takes the profile: it is the innermost of every stack.
fn is_profiler(name: &str, file: &str) -> bool {
    const OWN: [&str; 2] = ["pprof", "backtrace"];
    let named = |of: &str| name.contains(&format!("{of}::")) || file.contains(&format!("/{of}-"));
    OWN.into_iter().any(named)
}

/// A function's name as pprof can shorten it: of `<Type as Trait>::function` it would leave the function alone.
fn shown(name: &str) -> String {
    let Some((head, rest)) = name.split_once('<') else { return name.to_owned() };
    let Some((inner, tail)) = bracketed(rest) else { return name.to_owned() };
    let of = match (head.is_empty(), inner.strip_prefix("impl ")) {
        (true, _) => inner.split(" as ").next().unwrap_or(inner),
        (false, Some(implemented)) => implemented.rsplit(" for ").next().unwrap_or(implemented),
        (false, None) => return format!("{head}<{inner}>{}", shown(tail)),
    };
    let of =
        of.trim_start_matches(['&', '*']).trim_start_matches("mut ").trim_start_matches("dyn ");
    format!("{head}{}{}", shown(of), shown(tail))
}

/// What stands before the bracket that closes, and what follows it.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            // An arrow closes nothing.
            '>' if !text[..at].ends_with('-') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

/// The threads as they are now: one sample each, of its name and what it does.
pub(crate) fn threads() -> Vec<u8> {
    let mut profile = Profile::new(&[("threads", "count")]);
    for thread in list_threads() {
        let place = |text: String| (text, String::new(), 0);
        let places = [place(thread.state.clone()), place(thread.name.clone())];
        profile.sample(places.into_iter(), &[1]);
    }
    profile.finish(Duration::ZERO)
}

/// The same for people, with the number of tasks that run on them.
pub(crate) fn threads_text() -> String {
    let threads = list_threads();
    let tasks = tokio::runtime::Handle::try_current()
        .map_or(0, |runtime| runtime.metrics().num_alive_tasks());
    let mut text = format!("threads profile: total {}\ntasks: {tasks}\n", threads.len());
    for Thread { id, name, state } in threads {
        // A string takes everything.
        let _ = write!(text, "\nthread {id} [{state}]:\n{name}\n");
    }
    text
}

struct Thread {
    id: String,
    name: String,
    state: String,
}

fn list_threads() -> Vec<Thread> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mut threads: Vec<Thread> = tasks
        .filter_map(|task| {
            let told = fs::read_to_string(task.path().join("stat")).ok()?;
            // The name stands in brackets and may have some of its own.
            let (head, rest) = told.rsplit_once(')')?;
            let (id, name) = head.split_once('(')?;
            let state = match rest.trim_start().chars().next()? {
                'R' => "running",
                'S' => "sleeping",
                'D' => "waiting for a disk",
                'T' | 't' => "stopped",
                _ => "ended",
            };
            let (id, name) = (id.trim().to_owned(), name.to_owned());
            Some(Thread { id, name, state: state.to_owned() })
        })
        .collect();
    threads.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    threads
}

// === profile.proto ===

/// A profile in the making.
#[derive(Default)]
struct Profile {
    out: Vec<u8>,
    strings: HashMap<String, u64>,
    functions: HashMap<(String, String), u64>,
    locations: HashMap<(u64, u64), u64>,
    /// Strings in their order: the table goes out at the end.
    table: Vec<String>,
}

impl Profile {
    fn new(types: &[(&str, &str)]) -> Self {
        const SAMPLE_TYPE: u64 = 1;
        let mut profile = Self::default();
        profile.string("");
        for (kind, unit) in types {
            let value = profile.value_type(kind, unit);
            bytes(&mut profile.out, SAMPLE_TYPE, &value);
        }
        profile
    }

    fn value_type(&mut self, kind: &str, unit: &str) -> Vec<u8> {
        let mut value = Vec::new();
        number(&mut value, 1, self.string(kind));
        number(&mut value, 2, self.string(unit));
        value
    }

    fn period(&mut self, kind: &str, unit: &str, period: i64) {
        const PERIOD_TYPE: u64 = 11;
        const PERIOD: u64 = 12;
        let value = self.value_type(kind, unit);
        bytes(&mut self.out, PERIOD_TYPE, &value);
        number(&mut self.out, PERIOD, period.cast_unsigned());
    }

    /// A stack, the innermost place first, and its values.
    fn sample(&mut self, places: impl Iterator<Item = (String, String, u64)>, values: &[i64]) {
        const SAMPLE: u64 = 2;
        let places: Vec<u64> = places.map(|place| self.location(place)).collect();
        let mut sample = Vec::new();
        for place in places {
            number(&mut sample, 1, place);
        }
        for value in values {
            number(&mut sample, 2, value.cast_unsigned());
        }
        bytes(&mut self.out, SAMPLE, &sample);
    }

    fn location(&mut self, (name, file, line): (String, String, u64)) -> u64 {
        const LOCATION: u64 = 4;
        let function = self.function(name, file);
        let next = self.locations.len() as u64 + 1;
        if let Some(known) = self.locations.get(&(function, line)) {
            return *known;
        }
        self.locations.insert((function, line), next);
        let (mut place, mut at) = (Vec::new(), Vec::new());
        number(&mut at, 1, function);
        number(&mut at, 2, line);
        number(&mut place, 1, next);
        bytes(&mut place, 4, &at);
        bytes(&mut self.out, LOCATION, &place);
        next
    }

    fn function(&mut self, name: String, file: String) -> u64 {
        const FUNCTION: u64 = 5;
        let (of_name, of_file) = (self.string(&name), self.string(&file));
        let next = self.functions.len() as u64 + 1;
        if let Some(known) = self.functions.get(&(name.clone(), file.clone())) {
            return *known;
        }
        self.functions.insert((name, file), next);
        let mut function = Vec::new();
        for (field, value) in [(1, next), (2, of_name), (3, of_name), (4, of_file)] {
            number(&mut function, field, value);
        }
        bytes(&mut self.out, FUNCTION, &function);
        next
    }

    fn string(&mut self, text: &str) -> u64 {
        if let Some(known) = self.strings.get(text) {
            return *known;
        }
        let next = self.table.len() as u64;
        self.strings.insert(text.to_owned(), next);
        self.table.push(text.to_owned());
        next
    }

    /// All of it, gzipped.
    fn finish(mut self, during: Duration) -> Vec<u8> {
        const STRING_TABLE: u64 = 6;
        const TIME_NANOS: u64 = 9;
        const DURATION_NANOS: u64 = 10;
        for text in std::mem::take(&mut self.table) {
            bytes(&mut self.out, STRING_TABLE, text.as_bytes());
        }
        let nanos = |of: Duration| u64::try_from(of.as_nanos()).unwrap_or(u64::MAX);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        number(&mut self.out, TIME_NANOS, nanos(now));
        number(&mut self.out, DURATION_NANOS, nanos(during));
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        let done = packed.write_all(&self.out).and_then(|()| packed.finish());
        done.expect("a vector takes everything")
    }
}

/// A field with a number; one that is 0 is not told.
fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    const VARINT: u64 = 0;
    if value != 0 {
        varint(out, field << 3 | VARINT);
        varint(out, value);
    }
}

/// A field with bytes, or with fields of its own.
fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    const LENGTH_DELIMITED: u64 = 2;
    varint(out, field << 3 | LENGTH_DELIMITED);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Seven bits a byte, the lowest first.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn numbers_are_told_in_seven_bits_a_byte() {
        for (value, told) in
            [(1, &[1][..]), (127, &[127]), (300, &[0xac, 2]), (1 << 14, &[0x80, 0x80, 1])]
        {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out, told, "{value}");
        }
    }

    #[test]
    fn what_is_told_twice_is_written_once() {
        let mut profile = Profile::new(&[("threads", "count")]);
        for _ in 0..2 {
            let place = |name: &str| (name.to_owned(), "a.rs".to_owned(), 7);
            profile.sample([place("inner"), place("outer")].into_iter(), &[1]);
        }
        assert_eq!((profile.functions.len(), profile.locations.len()), (2, 2));
        assert_eq!(profile.table, ["", "threads", "count", "inner", "a.rs", "outer"]);
        let packed = profile.finish(Duration::ZERO);
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*packed).read_to_end(&mut plain).unwrap();
        assert!(plain.windows(5).any(|text| text == b"outer"));
    }

    #[test]
    fn names_keep_the_type_that_a_function_is_of() {
        for (name, told) in [
            ("serde_json::ser::to_writer", "serde_json::ser::to_writer"),
            ("<a::Trace as b::Trace>::trace", "a::Trace::trace"),
            ("<&mut a::Serializer<W,F> as b::Serializer>::text", "a::Serializer<W,F>::text"),
            ("a::_::<impl b::Serialize for a::Terms>::serialize", "a::_::a::Terms::serialize"),
            ("a::call<fn() -> b::C>::{{closure}}", "a::call<fn() -> b::C>::{{closure}}"),
            ("broken<", "broken<"),
        ] {
            assert_eq!(shown(name), told);
        }
    }

    #[test]
    fn this_thread_is_listed() {
        assert!(list_threads().iter().any(|thread| thread.state == "running"));
        assert!(threads_text().starts_with("threads profile: total "));
    }
}
