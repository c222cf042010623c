//! The machine, as `/v1/agent/host` tells it, read from `/proc`.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// Names of `/proc/meminfo` and those under which Consul prints them.
const MEMORY: &[(&str, &str)] = &[
    ("MemTotal", "total"),
    ("MemAvailable", "available"),
    ("MemFree", "free"),
    ("Active", "active"),
    ("Inactive", "inactive"),
    ("Buffers", "buffers"),
    ("Cached", "cached"),
    ("Dirty", "dirty"),
    ("Shmem", "shared"),
    ("Slab", "slab"),
    ("SwapTotal", "swapTotal"),
    ("SwapFree", "swapFree"),
];

/// `/v1/agent/host` as JSON. What the machine does not tell is left out.
pub(super) fn json() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "Memory": memory(&read("/proc/meminfo")),
        "CPU": processors(&read("/proc/cpuinfo")),
        "Host": host(),
        "Disk": Value::Null,
        "CollectionTime": u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        "Errors": Value::Null,
    })
    .to_string()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Bytes by name.
fn memory(told: &str) -> Map<String, Value> {
    let bytes = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    let mut memory: Map<String, Value> = MEMORY
        .iter()
        .filter_map(|(theirs, ours)| bytes(theirs).map(|bytes| ((*ours).to_owned(), bytes.into())))
        .collect();
    if let (Some(total), Some(available)) = (bytes("MemTotal"), bytes("MemAvailable")) {
        let used = total.saturating_sub(available);
        memory.insert("used".to_owned(), used.into());
        #[expect(clippy::cast_precision_loss, reason = "a share of memory needs no more digits")]
        memory.insert("usedPercent".to_owned(), (used as f64 / total as f64 * 100.0).into());
    }
    memory
}

/// One object for each processor.
fn processors(told: &str) -> Vec<Value> {
    let of = |block: &str, name: &str| {
        let lines = block.lines().filter_map(|line| line.split_once(':'));
        lines
            .map(|(key, value)| (key.trim(), value.trim()))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    };
    let blocks = told.split("\n\n").filter(|block| block.contains("processor"));
    blocks
        .map(|block| {
            let number = |name| of(block, name).and_then(|text| text.parse::<f64>().ok());
            json!({
                "cpu": of(block, "processor").and_then(|text| text.parse::<u64>().ok()),
                "vendorId": of(block, "vendor_id"),
                "family": of(block, "cpu family"),
                "model": of(block, "model"),
                "modelName": of(block, "model name"),
                "mhz": number("cpu MHz"),
            })
        })
        .collect()
}

fn host() -> Value {
    let line = |path| read(path).trim().to_owned();
    let uptime = read("/proc/uptime").split('.').next().and_then(|text| text.parse::<u64>().ok());
    json!({
        "hostname": line("/proc/sys/kernel/hostname"),
        "uptime": uptime,
        "os": std::env::consts::OS,
        "kernelVersion": line("/proc/sys/kernel/osrelease"),
        "kernelArch": std::env::consts::ARCH,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_bytes() {
        let told = memory("MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    250 kB\n");
        assert_eq!(told["total"], 1_024_000);
        assert_eq!(told["used"], 768_000);
        assert_eq!(told["usedPercent"], 75.0);
    }

    #[test]
    fn processors_are_told_one_by_one() {
        let told =
            processors("processor\t: 0\nmodel name\t: X\n\nprocessor\t: 1\nmodel name\t: Y\n\n");
        assert_eq!(told.len(), 2);
        assert_eq!((&told[1]["cpu"], &told[1]["modelName"]), (&json!(1), &json!("Y")));
    }
}
