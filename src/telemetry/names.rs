//! Under which names metrics are told: the configured prefix, which families are left out, and the host's own twins.
//!
//! Inside the program every name begins with `consul.`. What is told is decided when it is told, so that a reload counts at
//! once. A gauge's plain name is always told; with `disable_hostname = false`, Consul's default, it is also told with the
//! host's name in it, which is the only one that Consul tells then.

use std::fmt::Write as _;

/// What every name begins with inside the program.
const OWN_PREFIX: &str = "consul";

/// The configured names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Naming {
    /// `metrics_prefix`.
    pub(crate) prefix: String,
    /// The host's name, where gauges are told with it.
    pub(crate) host: Option<String>,
    /// `prefix_filter` with a plus sign.
    pub(crate) allowed: Vec<String>,
    /// `prefix_filter` with a minus sign.
    pub(crate) blocked: Vec<String>,
    /// `filter_default`: what counts where no prefix fits.
    pub(crate) by_default: bool,
}

/// How words are joined: by dots, or for Prometheus.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    Dot,
    Underscore,
}

impl Naming {
    /// The name under which a family is told; nothing when it is left out.
    pub(super) fn told(&self, name: &str, joint: Joint) -> Option<String> {
        self.allows(name, joint).then(|| self.with_prefix(name, ""))
    }

    /// The second name of a gauge.
    pub(super) fn twin(&self, name: &str, joint: Joint) -> Option<String> {
        let host = self.host.as_ref().filter(|_| self.allows(name, joint))?;
        name.strip_prefix(OWN_PREFIX)?;
        Some(match joint {
            Joint::Dot => self.with_prefix(name, &format!(".{host}")),
            Joint::Underscore => self.with_prefix(name, &format!("_{}", plain(host))),
        })
    }

    fn with_prefix(&self, name: &str, host: &str) -> String {
        match name.strip_prefix(OWN_PREFIX) {
            Some(rest) if !self.prefix.is_empty() => format!("{}{host}{rest}", self.prefix),
            Some(rest) => format!("{OWN_PREFIX}{host}{rest}"),
            None => name.to_owned(),
        }
    }

    /// The longest prefix that fits decides.
    fn allows(&self, name: &str, joint: Joint) -> bool {
        let longest = |prefixes: &[String]| {
            let fitting = prefixes.iter().filter(|prefix| match joint {
                Joint::Dot => name.starts_with(prefix.as_str()),
                Joint::Underscore => name.starts_with(&plain(prefix)),
            });
            fitting.map(String::len).max()
        };
        match (longest(&self.allowed), longest(&self.blocked)) {
            (None, None) => self.by_default,
            (allowed, blocked) => allowed > blocked,
        }
    }

    /// Prometheus' text with these names.
    pub(super) fn rename(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for family in text.split_inclusive("\n\n") {
            let head = family.lines().find_map(|line| line.strip_prefix("# TYPE "));
            let Some((name, kind)) = head.and_then(|head| head.split_once(' ')) else {
                out.push_str(family);
                continue;
            };
            let told = self.told(name, Joint::Underscore);
            let twin = self.twin(name, Joint::Underscore).filter(|_| kind == "gauge");
            for new in told.into_iter().chain(twin) {
                write_family(&mut out, family, name, &new);
            }
        }
        out
    }
}

/// The lines of a family under another name.
fn write_family(out: &mut String, family: &str, name: &str, new: &str) {
    for line in family.split_inclusive('\n') {
        let head = ["# TYPE ", "# HELP ", ""].into_iter().find_map(|head| {
            let rest = line.strip_prefix(head)?.strip_prefix(name)?;
            Some((head, rest))
        });
        match head {
            // A string takes everything.
            Some((head, rest)) => drop(write!(out, "{head}{new}{rest}")),
            None => out.push_str(line),
        }
    }
}

/// As Prometheus has it: what cannot stand in a name becomes an underscore.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(prefix: &str, host: Option<&str>, allowed: &[&str], blocked: &[&str]) -> Naming {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Naming {
            prefix: prefix.to_owned(),
            host: host.map(str::to_owned),
            allowed: owned(allowed),
            blocked: owned(blocked),
            by_default: true,
        }
    }

    #[test]
    fn the_longest_prefix_decides() {
        let filtered = naming("x", None, &["consul.raft.apply"], &["consul.raft", "consul.dns"]);
        let closed = Naming { by_default: false, ..filtered.clone() };
        for (name, open, shut) in [
            ("consul.raft.apply", Some("x.raft.apply"), Some("x.raft.apply")),
            ("consul.raft.commitTime", None, None),
            ("consul.kvs.apply", Some("x.kvs.apply"), None),
            ("process_open_fds", Some("process_open_fds"), None),
        ] {
            assert_eq!(filtered.told(name, Joint::Dot).as_deref(), open, "{name}");
            assert_eq!(closed.told(name, Joint::Dot).as_deref(), shut, "{name}");
        }
    }

    #[test]
    fn gauges_have_a_twin_with_the_hosts_name() {
        let naming = naming("consul", Some("a-b.c"), &[], &["consul.gone"]);
        let text = "# TYPE consul_up gauge\nconsul_up 1\nconsul_up{a=\"b\"} 2\n\n# TYPE consul_gone gauge\nconsul_gone 1\n\n# TYPE consul_n counter\nconsul_n 4\n\n";
        let told = "# TYPE consul_up gauge\nconsul_up 1\nconsul_up{a=\"b\"} 2\n\n# TYPE consul_a_b_c_up gauge\nconsul_a_b_c_up 1\nconsul_a_b_c_up{a=\"b\"} 2\n\n# TYPE consul_n counter\nconsul_n 4\n\n";
        assert_eq!(naming.rename(text), told);
        assert_eq!(naming.twin("consul.up", Joint::Dot).as_deref(), Some("consul.a-b.c.up"));
        assert_eq!(naming.twin("consul.gone", Joint::Dot), None);
    }
}
