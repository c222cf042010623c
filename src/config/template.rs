//! Templates in address settings: `{{ GetPrivateIP }}`, `{{ GetInterfaceIP "eth0" }}`,
//! `{{ GetAllInterfaces | include "network" "10.0.0.0/8" | attr "address" }}`.
//!
//! The functions are those of go-sockaddr that its manual uses in examples; another one is told as an error.

use std::fmt;
use std::net::IpAddr;

use regex::Regex;

use super::host::{Host, Interface};

/// Networks that are for special purposes (RFC 6890), where Consul looks for a private address.
const SPECIAL: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "::1/128",
    "::/128",
    "64:ff9b::/96",
    "::ffff:0:0/96",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
];

/// Of those, the ones that no router forwards.
const NOT_FORWARDED: &[&str] = &[
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "::1/128",
    "::/128",
    "2001:db8::/32",
    "fe80::/10",
];

/// Networks of RFC 1918.
const PRIVATE: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/// The functions with which a pipeline may begin.
const SOURCES: &[&str] = &[
    "GetAllInterfaces",
    "GetDefaultInterfaces",
    "GetInterfaceIP",
    "GetInterfaceIPs",
    "GetPrivateIP",
    "GetPrivateIPs",
    "GetPrivateInterfaces",
    "GetPublicIP",
    "GetPublicIPs",
    "GetPublicInterfaces",
];

/// What a step of a pipeline hands on.
enum Step {
    Interfaces(Vec<Interface>),
    Text(String),
}

/// Fills in the templates of a text.
///
/// # Errors
/// A sentence that names what is not understood.
pub(crate) fn expand(text: &str, host: &Host) -> Result<String, String> {
    let failed = |why: String| {
        format!("unable to parse template {text:?}: template: sockaddr.Parse:1: {why}")
    };
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (action, after) =
            after.split_once("}}").ok_or_else(|| failed("unclosed action".to_owned()))?;
        filled.push_str(before);
        filled.push_str(&evaluate(action.trim_matches('-').trim(), host).map_err(failed)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn evaluate(action: &str, host: &Host) -> Result<String, String> {
    let mut step: Option<Step> = None;
    for call in split(action, '|') {
        let words = words(&call);
        let (name, arguments) = words.split_first().ok_or("missing value for command")?;
        step = Some(match step {
            None => source(name, arguments, host)?,
            Some(step) => apply(step, name, arguments)?,
        });
    }
    match step {
        Some(Step::Text(text)) => Ok(text),
        Some(Step::Interfaces(list)) => Ok(join(&list, " ", address)),
        None => Err("missing value for command".to_owned()),
    }
}

/// Splits outside quotes.
fn split(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        quoted ^= matches!(letter, '"' | '`');
        match parts.last_mut() {
            Some(part) if quoted || letter != at => part.push(letter),
            _ => parts.push(String::new()),
        }
    }
    parts
}

fn words(call: &str) -> Vec<String> {
    let words = split(call.trim(), ' ').into_iter();
    words
        .map(|word| word.trim_matches(['"', '`']).to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

fn source(name: &str, arguments: &[String], host: &Host) -> Result<Step, String> {
    let all = host.interfaces.clone();
    let takes = match name {
        "GetInterfaceIP" | "GetInterfaceIPs" => 1,
        _ => 0,
    };
    if SOURCES.contains(&name) && arguments.len() != takes {
        return Err(format!(
            "wrong number of args for {name}: want {takes} got {}",
            arguments.len()
        ));
    }
    let wanted = arguments.first().map_or("", String::as_str);
    let first = |list: Vec<Interface>| Step::Text(list.first().map(address).unwrap_or_default());
    let every = |list: Vec<Interface>| Step::Text(join(&list, " ", address));
    Ok(match name {
        "GetAllInterfaces" => Step::Interfaces(all),
        "GetDefaultInterfaces" => {
            Step::Interfaces(all.into_iter().filter(|one| one.is_default).collect())
        }
        "GetPrivateInterfaces" => Step::Interfaces(private(all)),
        "GetPublicInterfaces" => Step::Interfaces(public(all)),
        "GetPrivateIP" => first(private(all)),
        "GetPrivateIPs" => every(private(all)),
        "GetPublicIP" => first(public(all)),
        "GetPublicIPs" => every(public(all)),
        "GetInterfaceIP" => first(named(all, wanted)?),
        "GetInterfaceIPs" => every(named(all, wanted)?),
        _ => return Err(format!("function {name:?} not defined")),
    })
}

fn apply(step: Step, name: &str, arguments: &[String]) -> Result<Step, String> {
    let Step::Interfaces(list) = step else { return Err(format!("{name} does not take text")) };
    let argument = |place: usize| {
        arguments.get(place).map(String::as_str).ok_or_else(|| format!("{name} lacks an argument"))
    };
    let number = |place: usize| {
        argument(place)?.parse::<usize>().map_err(|_| format!("{name} wants a number"))
    };
    Ok(match name {
        "include" => Step::Interfaces(filter(list, argument(0)?, argument(1)?, true)?),
        "exclude" => Step::Interfaces(filter(list, argument(0)?, argument(1)?, false)?),
        "sort" => Step::Interfaces(sort(list, argument(0)?)?),
        "limit" => Step::Interfaces(list.into_iter().take(number(0)?).collect()),
        "offset" => Step::Interfaces(list.into_iter().skip(number(0)?).collect()),
        "attr" => Step::Text(list.first().map(attribute(argument(0)?)?).unwrap_or_default()),
        "join" => Step::Text(join(
            &list,
            arguments.get(1).map_or(" ", String::as_str),
            attribute(argument(0)?)?,
        )),
        _ => return Err(format!("function {name:?} not defined")),
    })
}

fn address(one: &Interface) -> String {
    one.address.to_string()
}

fn attribute(name: &str) -> Result<fn(&Interface) -> String, String> {
    match name {
        "address" | "host" => Ok(address),
        "name" => Ok(|one| one.name.clone()),
        _ => Err(format!("unsupported attribute name {name:?}")),
    }
}

fn join(list: &[Interface], between: &str, each: fn(&Interface) -> String) -> String {
    list.iter().map(each).collect::<Vec<_>>().join(between)
}

fn private(all: Vec<Interface>) -> Vec<Interface> {
    let mut list: Vec<_> = all
        .into_iter()
        .filter(|one| one.up && forwarded(one) && inside(one.address, SPECIAL))
        .collect();
    list.sort_by_key(|one| (!one.is_default, one.address.is_ipv6(), one.prefix));
    list
}

fn public(all: Vec<Interface>) -> Vec<Interface> {
    let mut list: Vec<_> = all
        .into_iter()
        .filter(|one| one.up && forwarded(one) && !inside(one.address, SPECIAL))
        .collect();
    list.sort_by_key(|one| (!one.is_default, one.address.is_ipv6(), one.prefix));
    list
}

fn named(all: Vec<Interface>, pattern: &str) -> Result<Vec<Interface>, String> {
    let mut list = filter(all, "name", &format!("^{pattern}$"), true)?;
    list.retain(forwarded);
    list.sort_by_key(|one| (one.address.is_ipv6(), one.prefix));
    Ok(list)
}

fn forwarded(one: &Interface) -> bool {
    !inside(one.address, NOT_FORWARDED)
}

/// Keeps what matches, or what does not; alternatives are separated by `|`.
fn filter(
    list: Vec<Interface>,
    selector: &str,
    value: &str,
    keep: bool,
) -> Result<Vec<Interface>, String> {
    let pattern = match selector {
        "name" | "address" => {
            Some(Regex::new(value).map_err(|_| format!("invalid pattern {value:?}"))?)
        }
        _ => None,
    };
    let matches = |one: &Interface| -> Result<bool, String> {
        if let Some(pattern) = &pattern {
            return Ok(pattern.is_match(&if selector == "name" {
                one.name.clone()
            } else {
                address(one)
            }));
        }
        value
            .split('|')
            .try_fold(false, |found, value| Ok(found || has(one, selector, value.trim())?))
    };
    let mut kept = Vec::new();
    for one in list {
        if matches(&one)? == keep {
            kept.push(one);
        }
    }
    Ok(kept)
}

fn has(one: &Interface, selector: &str, value: &str) -> Result<bool, String> {
    let wanted = value.to_ascii_lowercase();
    match (selector.to_ascii_lowercase().as_str(), wanted.as_str()) {
        ("network", _) => network(value)
            .map(|net| net.holds(one.address))
            .ok_or_else(|| format!("invalid network {value:?}")),
        ("type", "ip") | ("type", "ipv4") if one.address.is_ipv4() => Ok(true),
        ("type", "ip") | ("type", "ipv6") if one.address.is_ipv6() => Ok(true),
        ("type", _) => Ok(false),
        ("rfc", "6890") => Ok(inside(one.address, SPECIAL)),
        ("rfc", "1918") => Ok(inside(one.address, PRIVATE)),
        ("flag" | "flags", "up") => Ok(one.up),
        ("flag" | "flags", "down") => Ok(!one.up),
        ("flag" | "flags", "loopback") => Ok(one.loopback),
        ("flag" | "flags", "forwardable") => Ok(forwarded(one)),
        ("size", bits) => bits
            .trim_start_matches('/')
            .parse()
            .map(|bits: u32| bits == one.prefix)
            .map_err(|_| format!("invalid size {value:?}")),
        _ => Err(format!("unsupported filter {selector:?} {value:?}")),
    }
}

fn sort(mut list: Vec<Interface>, orders: &str) -> Result<Vec<Interface>, String> {
    for order in orders.split(',').rev() {
        let (name, falling) = order
            .trim()
            .strip_prefix('-')
            .map_or((order.trim().trim_start_matches('+'), false), |name| (name, true));
        match name {
            "default" => list.sort_by_key(|one| one.is_default == falling),
            "type" => list.sort_by_key(|one| one.address.is_ipv6() != falling),
            "size" => list.sort_by_key(|one| if falling { 128 - one.prefix } else { one.prefix }),
            "address" => list.sort_by_key(|one| one.address),
            "name" => list.sort_by(|a, b| a.name.cmp(&b.name)),
            _ => return Err(format!("unsupported sort {name:?}")),
        }
        if falling && matches!(name, "address" | "name") {
            list.reverse();
        }
    }
    Ok(list)
}

/// A network: its first address and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    /// With the bits after the prefix cleared.
    pub(crate) address: IpAddr,
    /// In bits.
    pub(crate) prefix: u32,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Network {
    /// Whether an address lies in it.
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => same(
                u128::from(net.to_bits()) << 96,
                u128::from(address.to_bits()) << 96,
                self.prefix,
            ),
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                same(net.to_bits(), address.to_bits(), self.prefix)
            }
            _ => false,
        }
    }
}

fn same(a: u128, b: u128, prefix: u32) -> bool {
    prefix == 0 || (a ^ b).leading_zeros() >= prefix
}

/// Reads `10.0.0.0/8`; nothing when it is no network.
pub(crate) fn network(text: &str) -> Option<Network> {
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix): (IpAddr, u32) = (address.parse().ok()?, prefix.parse().ok()?);
    let (address, longest) = match address {
        IpAddr::V4(four) => (
            IpAddr::V4(
                (four.to_bits() & u32::MAX.checked_shl(32_u32.checked_sub(prefix)?).unwrap_or(0))
                    .into(),
            ),
            32,
        ),
        IpAddr::V6(six) => (
            IpAddr::V6(
                (six.to_bits() & u128::MAX.checked_shl(128_u32.checked_sub(prefix)?).unwrap_or(0))
                    .into(),
            ),
            128,
        ),
    };
    (prefix <= longest).then_some(Network { address, prefix })
}

fn inside(address: IpAddr, networks: &[&str]) -> bool {
    networks.iter().filter_map(|text| network(text)).any(|net| net.holds(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        let one = |name: &str, address: &str, prefix, is_default| Interface {
            name: name.to_owned(),
            address: address.parse().unwrap(),
            prefix,
            up: true,
            loopback: name == "lo",
            is_default,
        };
        Host {
            name: Some("h".to_owned()),
            interfaces: vec![
                one("lo", "127.0.0.1", 8, false),
                one("eth1", "192.168.7.2", 24, false),
                one("eth0", "10.1.2.3", 16, true),
                one("eth0", "fe80::1", 64, true),
                one("eth2", "8.8.4.4", 24, false),
            ],
        }
    }

    #[test]
    fn templates_find_addresses() {
        for (text, expected) in [
            ("10.0.0.1", "10.0.0.1"),
            ("{{ GetPrivateIP }}", "10.1.2.3"),
            ("{{GetPrivateIPs}} ::1", "10.1.2.3 192.168.7.2 ::1"),
            ("{{ GetPublicIP }}", "8.8.4.4"),
            ("{{ GetInterfaceIP \"eth1\" }}", "192.168.7.2"),
            ("{{ GetInterfaceIP `eth9` }}", ""),
            ("{{ GetInterfaceIPs \"eth.\" }}", "10.1.2.3 192.168.7.2 8.8.4.4"),
            (
                "{{ GetAllInterfaces | include \"network\" \"192.168.0.0/16\" | attr \"address\" }}",
                "192.168.7.2",
            ),
            (
                "{{ GetAllInterfaces | include \"name\" \"^eth\" | exclude \"rfc\" \"6890\" | join \"address\" \" \" }}",
                "8.8.4.4",
            ),
            (
                "{{ GetAllInterfaces | include \"type\" \"ipv4\" | sort \"-address\" | limit 2 | join \"name\" \",\" }}",
                "eth1,lo",
            ),
            ("{{ GetDefaultInterfaces | attr \"name\" }}", "eth0"),
        ] {
            assert_eq!(expand(text, &host()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for (text, told) in [
            (
                "{{ GetInterfaceIP }}",
                "unable to parse template \"{{ GetInterfaceIP }}\": template: sockaddr.Parse:1: wrong number of args for \
                 GetInterfaceIP: want 1 got 0",
            ),
            (
                "{{ Foo }}",
                "unable to parse template \"{{ Foo }}\": template: sockaddr.Parse:1: function \"Foo\" not defined",
            ),
            (
                "{{ GetPrivateIP",
                "unable to parse template \"{{ GetPrivateIP\": template: sockaddr.Parse:1: unclosed action",
            ),
        ] {
            assert_eq!(expand(text, &host()), Err(told.to_owned()));
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        for (net, address, holds) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.9.9.9/8", "10.255.0.1", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("::/0", "1.2.3.4", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
        ] {
            assert_eq!(
                network(net).unwrap().holds(address.parse().unwrap()),
                holds,
                "{net} {address}"
            );
        }
        assert_eq!(
            (network("10.0.0.0/33"), network("x/3"), network("10.0.0.1")),
            (None, None, None)
        );
    }
}
