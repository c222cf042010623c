//! What configuration has to know of the machine: its name and its addresses. Asked once, at the start.

use std::fs;
use std::net::IpAddr;

use nix::ifaddrs;
use nix::net::if_::InterfaceFlags;

/// The machine as configuration sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    /// The host name; why not, when it cannot be told.
    pub(crate) name: Option<String>,
    /// Every address of every interface, in the system's order.
    pub(crate) interfaces: Vec<Interface>,
}

/// One address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// `eth0`, `lo` …
    pub(crate) name: String,
    /// Its address.
    pub(crate) address: IpAddr,
    /// The length of the network's prefix in bits.
    pub(crate) prefix: u32,
    /// Whether it is up.
    pub(crate) up: bool,
    /// Whether it is a loopback.
    pub(crate) loopback: bool,
    /// Whether the default route leaves through it.
    pub(crate) is_default: bool,
}

impl Host {
    /// Asks the system.
    pub(crate) fn ask() -> Self {
        Self {
            name: nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()),
            interfaces: interfaces(),
        }
    }
}

fn interfaces() -> Vec<Interface> {
    let default = default_interface();
    let Ok(addresses) = ifaddrs::getifaddrs() else { return Vec::new() };
    addresses.filter_map(|entry| interface(&entry, default.as_deref())).collect()
}

fn interface(entry: &ifaddrs::InterfaceAddress, default: Option<&str>) -> Option<Interface> {
    let address = ip(entry.address.as_ref()?)?;
    let prefix = match entry.netmask.as_ref().and_then(ip) {
        Some(IpAddr::V4(mask)) => mask.to_bits().count_ones(),
        Some(IpAddr::V6(mask)) => mask.to_bits().count_ones(),
        None => 0,
    };
    Some(Interface {
        name: entry.interface_name.clone(),
        address,
        prefix,
        up: entry.flags.contains(InterfaceFlags::IFF_UP),
        loopback: entry.flags.contains(InterfaceFlags::IFF_LOOPBACK),
        is_default: default == Some(entry.interface_name.as_str()),
    })
}

fn ip(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let four = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    four.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

/// The interface of the default route, from the kernel's table; nothing on systems without one.
fn default_interface() -> Option<String> {
    let table = fs::read_to_string("/proc/net/route").ok()?;
    let mut rows = table.lines().skip(1).map(|row| row.split_ascii_whitespace());
    rows.find_map(|mut row| {
        let name = row.next()?;
        (row.next()? == "00000000").then(|| name.to_owned())
    })
}
