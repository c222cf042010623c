//! The machine, as `/v1/agent/host` tells it, read from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::statvfs::statvfs;
use serde_json::{Map, Value, json};

/// What Consul prints of the memory, and the names of `/proc/meminfo` that it is the sum of. What other systems have is 0.
const MEMORY: &[(&str, &[&str])] = &[
    ("total", &["MemTotal"]),
    ("available", &["MemAvailable"]),
    ("free", &["MemFree"]),
    ("active", &["Active"]),
    ("inactive", &["Inactive"]),
    ("wired", &[]),
    ("laundry", &[]),
    ("buffers", &["Buffers"]),
    ("cached", &["Cached", "SReclaimable"]),
    ("writeBack", &["Writeback"]),
    ("dirty", &["Dirty"]),
    ("writeBackTmp", &["WritebackTmp"]),
    ("shared", &["Shmem"]),
    ("slab", &["Slab"]),
    ("sreclaimable", &["SReclaimable"]),
    ("sunreclaim", &["SUnreclaim"]),
    ("pageTables", &["PageTables"]),
    ("swapCached", &["SwapCached"]),
    ("commitLimit", &["CommitLimit"]),
    ("committedAS", &["Committed_AS"]),
    ("highTotal", &["HighTotal"]),
    ("highFree", &["HighFree"]),
    ("lowTotal", &["LowTotal"]),
    ("lowFree", &["LowFree"]),
    ("swapTotal", &["SwapTotal"]),
    ("swapFree", &["SwapFree"]),
    ("mapped", &["Mapped"]),
    ("vmallocTotal", &["VmallocTotal"]),
    ("vmallocUsed", &["VmallocUsed"]),
    ("vmallocChunk", &["VmallocChunk"]),
    ("hugePagesTotal", &["HugePages_Total"]),
    ("hugePagesFree", &["HugePages_Free"]),
    ("hugePagesRsvd", &["HugePages_Rsvd"]),
    ("hugePagesSurp", &["HugePages_Surp"]),
    ("hugePageSize", &["Hugepagesize"]),
];

/// `/v1/agent/host` as JSON; `place` is on the disk that is told of.
pub(super) fn json(place: &Path) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "Memory": memory(&read("/proc/meminfo")),
        "CPU": processors(&read("/proc/cpuinfo")),
        "Host": host(),
        "Disk": disk(place, &read("/proc/mounts")),
        "CollectionTime": u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        "Errors": Value::Null,
    })
    .to_string()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Bytes by name; pages are counted.
fn memory(told: &str) -> Map<String, Value> {
    let amount = |line: &str| {
        let mut words = line.split_whitespace();
        let number = words.next()?.parse::<u64>().ok()?;
        Some(if words.next() == Some("kB") { number * 1024 } else { number })
    };
    let lines = told.lines().filter_map(|line| line.split_once(':'));
    let found: BTreeMap<&str, u64> =
        lines.filter_map(|(name, rest)| Some((name, amount(rest)?))).collect();
    let sum = |names: &[&str]| names.iter().filter_map(|name| found.get(name)).sum::<u64>();
    let mut memory: Map<String, Value> =
        MEMORY.iter().map(|(name, of)| ((*name).to_owned(), sum(of).into())).collect();
    let total = sum(&["MemTotal"]);
    let unused = sum(&["MemFree", "Buffers", "Cached", "SReclaimable"]);
    let used = total.saturating_sub(unused);
    memory.insert("used".to_owned(), used.into());
    memory.insert("usedPercent".to_owned(), percent(used, total).into());
    memory
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    let percent = part as f64 / whole as f64 * 100.0;
    percent
}

/// One object for each processor.
fn processors(told: &str) -> Vec<Value> {
    let blocks = told.split("\n\n").filter(|block| block.contains("processor"));
    let processor = |block: &str| {
        let lines = block.lines().filter_map(|line| line.split_once(':'));
        let of: BTreeMap<&str, &str> =
            lines.map(|(key, value)| (key.trim(), value.trim())).collect();
        let text = |name: &str| of.get(name).copied().unwrap_or("");
        let number = |name: &str| {
            let first = text(name).split_whitespace().next().unwrap_or("");
            first.parse::<f64>().unwrap_or(0.0)
        };
        #[expect(clippy::cast_possible_truncation, reason = "the kernel tells whole numbers here")]
        let whole = |name: &str| number(name) as i64;
        json!({
            "cpu": whole("processor"),
            "vendorId": text("vendor_id"),
            "family": text("cpu family"),
            "model": text("model"),
            "stepping": whole("stepping"),
            "physicalId": text("physical id"),
            "coreId": text("core id"),
            "cores": 1,
            "modelName": text("model name"),
            "mhz": number("cpu MHz"),
            "cacheSize": whole("cache size"),
            "flags": text("flags").split_whitespace().collect::<Vec<_>>(),
            "microcode": text("microcode"),
        })
    };
    blocks.map(processor).collect()
}

fn host() -> Value {
    let line = |path: &str| read(path).trim().to_owned();
    let uptime = read("/proc/uptime").split('.').next().and_then(|text| text.parse::<u64>().ok());
    let booted = read("/proc/stat")
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.parse::<u64>().ok());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = processes.filter(|entry| {
        entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())
    });
    let release = read("/etc/os-release");
    let of_release = |name: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or("").trim_matches('"').to_owned()
    };
    let family = match of_release("ID_LIKE") {
        none if none.is_empty() => of_release("ID"),
        like => like.split(' ').next().unwrap_or("").to_owned(),
    };
    let ids =
        ["/sys/class/dmi/id/product_uuid", "/etc/machine-id", "/proc/sys/kernel/random/boot_id"];
    let id = ids.into_iter().map(line).find(|id| !id.is_empty()).unwrap_or_default();
    let guest = read("/proc/cpuinfo").contains(" hypervisor");
    json!({
        "hostname": line("/proc/sys/kernel/hostname"),
        "uptime": uptime,
        "bootTime": booted,
        "procs": processes.count(),
        "os": std::env::consts::OS,
        "platform": of_release("ID"),
        "platformFamily": family,
        "platformVersion": of_release("VERSION_ID"),
        "kernelVersion": line("/proc/sys/kernel/osrelease"),
        "kernelArch": std::env::consts::ARCH,
        "virtualizationSystem": "",
        "virtualizationRole": if guest { "guest" } else { "" },
        "hostId": id.to_lowercase(),
    })
}

/// The disk on which a place lies; nothing when the system does not tell.
fn disk(place: &Path, mounts: &str) -> Value {
    let Ok(told) = statvfs(place) else { return Value::Null };
    let bytes = |blocks: u64| blocks * told.fragment_size();
    let (total, free) = (bytes(told.blocks()), bytes(told.blocks_available()));
    let used = bytes(told.blocks().saturating_sub(told.blocks_free()));
    let (inodes, inodes_free) = (told.files(), told.files_free());
    let inodes_used = inodes.saturating_sub(inodes_free);
    json!({
        "path": place.display().to_string(),
        "fstype": file_system(place, mounts),
        "total": total,
        "free": free,
        "used": used,
        "usedPercent": percent(used, used + free),
        "inodesTotal": inodes,
        "inodesUsed": inodes_used,
        "inodesFree": inodes_free,
        "inodesUsedPercent": percent(inodes_used, inodes),
    })
}

/// The type of the file system that is mounted nearest above a place.
fn file_system(place: &Path, mounts: &str) -> String {
    let lines = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let above = lines.filter(|(mounted, _)| place.starts_with(mounted));
    above.max_by_key(|(mounted, _)| mounted.len()).map_or("", |(_, kind)| kind).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_bytes() {
        let told = memory(
            "MemTotal:       1000 kB\nMemFree:  100 kB\nBuffers: 50 kB\nCached: 60 kB\nSReclaimable: 40 kB\nHugePages_Total:    3\n",
        );
        assert_eq!(told["total"], 1_024_000);
        assert_eq!(told["cached"], 102_400);
        assert_eq!(told["used"], 768_000);
        assert_eq!(told["usedPercent"], 75.0);
        assert_eq!((&told["hugePagesTotal"], &told["wired"]), (&json!(3), &json!(0)));
    }

    #[test]
    fn processors_are_told_one_by_one() {
        let told = processors(
            "processor\t: 0\nmodel name\t: X\n\nprocessor\t: 1\nmodel name\t: Y\ncache size\t: 1024 KB\nflags\t\t: a b\n\n",
        );
        assert_eq!(told.len(), 2);
        assert_eq!((&told[1]["cpu"], &told[1]["modelName"]), (&json!(1), &json!("Y")));
        assert_eq!((&told[1]["cacheSize"], &told[1]["flags"]), (&json!(1024), &json!(["a", "b"])));
    }

    #[test]
    fn a_place_lies_on_the_nearest_mount() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/x xfs rw 0 0\n";
        for (place, kind) in
            [("/", "ext4"), ("/var", "ext4"), ("/tmp/y", "tmpfs"), ("/tmp/x/z", "xfs")]
        {
            assert_eq!(file_system(Path::new(place), mounts), kind);
        }
    }
}
