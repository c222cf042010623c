//! Everything that listens, bound before anything is written: a port that is taken stops the start.

use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::{Gid, Uid, User};
use proconsul_anchors::handle::Handle;
use proconsul_compat::{Api, Certificates, Listener};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

use crate::config::{Config, Listen, UnixSockets, reason};

/// Connections that wait to be accepted: a burst of clients must not be sent away. The system may allow fewer.
const CONNECTIONS_WAITING_MAX: u32 = 4096;
/// More threads than these would wait for each other.
const DNS_LISTENERS_MAX: usize = 16;

/// The sockets.
pub(super) struct Sockets {
    http: Vec<Listener>,
    https: Vec<Listener>,
    dns_udp: Vec<UdpSocket>,
    dns_tcp: Vec<TcpListener>,
    dns_tls: Vec<TcpListener>,
    dns_https: Vec<TcpListener>,
    dns_quic: Vec<UdpSocket>,
    files: SocketFiles,
}

/// The files of Unix sockets; they go when this is dropped.
#[derive(Default)]
pub(super) struct SocketFiles(Vec<PathBuf>);

/// What is served on them.
pub(super) struct Served<'a> {
    pub(super) api: &'a Arc<Api>,
    pub(super) certificates: Option<&'a Certificates>,
    /// There whenever something speaks DNS within TLS.
    pub(super) dns_certificates: Option<&'a Arc<proconsul_dns::Certificates>>,
    pub(super) dns: &'a Arc<proconsul_dns::Service<Handle>>,
    pub(super) stopping: &'a watch::Receiver<bool>,
}

// === impl Sockets ===

impl Sockets {
    /// Binds them all.
    ///
    /// # Errors
    /// The one that cannot be bound, and what to do.
    pub(super) fn bind(config: &Config) -> Result<Self, String> {
        let http = &config.http;
        let mut files = SocketFiles::default();
        let mut sockets = Self {
            http: bind("HTTP", &http.listen, &http.unix_sockets, &mut files)?,
            https: bind("HTTPS", &http.listen_tls, &http.unix_sockets, &mut files)?,
            dns_udp: Vec::new(),
            dns_tcp: Vec::new(),
            dns_tls: bind_tcp("DNS over TLS", &config.dns.secure.tls)?,
            dns_https: bind_tcp("DNS over HTTPS", &config.dns.secure.https)?,
            dns_quic: bind_udp("DNS over QUIC", &config.dns.secure.quic)?,
            files,
        };
        for address in &config.dns.listen {
            // First, because it is shared with nobody.
            sockets.dns_tcp.push(tcp("DNS", *address)?);
            let shared = udp_shared(*address);
            sockets.dns_udp.extend(shared.map_err(|error| cannot_listen("DNS", *address, &error))?);
        }
        Ok(sockets)
    }

    /// Starts a server on each; they end when the program is stopping and what was on its way has gone out.
    pub(super) fn serve(self, served: &Served<'_>) -> (JoinSet<()>, SocketFiles) {
        let mut serving = JoinSet::new();
        let stopping = || served.stopping.clone();
        let serve = |listener, certificates| {
            proconsul_compat::serve(Arc::clone(served.api), listener, certificates, stopping())
        };
        for listener in self.http {
            serving.spawn(serve(listener, None));
        }
        for listener in self.https {
            serving.spawn(serve(listener, served.certificates.cloned()));
        }
        let dns = served.dns;
        for socket in self.dns_udp {
            serving.spawn(proconsul_dns::serve_udp(socket, Arc::clone(dns), stopping()));
        }
        for listener in self.dns_tcp {
            serving.spawn(proconsul_dns::serve_tcp(listener, Arc::clone(dns), stopping()));
        }
        if let Some(certificates) = served.dns_certificates {
            let with = || (Arc::clone(dns), Arc::clone(certificates), stopping());
            for listener in self.dns_tls {
                let (dns, certificates, stop) = with();
                serving.spawn(proconsul_dns::serve_tls(listener, dns, certificates, stop));
            }
            for listener in self.dns_https {
                let (dns, certificates, stop) = with();
                serving.spawn(proconsul_dns::serve_https(listener, dns, certificates, stop));
            }
            for socket in self.dns_quic {
                let (dns, certificates, stop) = with();
                serving.spawn(proconsul_dns::serve_quic(socket, dns, certificates, stop));
            }
        }
        (serving, self.files)
    }
}

fn bind(
    what: &str,
    places: &[Listen],
    owner: &UnixSockets,
    files: &mut SocketFiles,
) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    for place in places {
        listeners.push(match place {
            Listen::Tcp(address) => tcp(what, *address)?.into(),
            Listen::Unix(path) => unix(path, owner, files)?.into(),
        });
    }
    Ok(listeners)
}

fn bind_tcp(what: &str, places: &[SocketAddr]) -> Result<Vec<TcpListener>, String> {
    places.iter().map(|address| tcp(what, *address)).collect()
}

fn bind_udp(what: &str, places: &[SocketAddr]) -> Result<Vec<UdpSocket>, String> {
    let bind = |address: &SocketAddr| {
        UdpSocket::bind(address).map_err(|error| cannot_listen(what, *address, &error))
    };
    places.iter().map(bind).collect()
}

fn tcp(what: &str, address: SocketAddr) -> Result<TcpListener, String> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(CONNECTIONS_WAITING_MAX)
    };
    listen().map_err(|error| cannot_listen(what, address, &error))
}

/// A socket for each core; the system spreads the clients over them.
fn udp_shared(address: SocketAddr) -> io::Result<Vec<UdpSocket>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        // As the standard library binds: an address of both families stands for its own.
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    };
    (0..cores.min(DNS_LISTENERS_MAX)).map(|_| bind()).collect()
}

fn cannot_listen(what: &str, address: SocketAddr, error: &io::Error) -> String {
    format!(
        "cannot listen for {what} on {address}: {error}; give another address or port, or end who holds it"
    )
}

/// Binds a Unix socket in the place of whatever lies there, as Consul does.
fn unix(path: &Path, owner: &UnixSockets, files: &mut SocketFiles) -> Result<UnixListener, String> {
    let shown = path.display();
    if path.symlink_metadata().is_ok() {
        warn!(path = %shown, "Replacing socket");
        fs::remove_file(path).map_err(|error| {
            format!("error removing socket file: remove {shown}: {}", reason(&error))
        })?;
    }
    let listener = UnixListener::bind(path)
        .map_err(|error| format!("listen unix {shown}: bind: {}", reason(&error)))?;
    files.0.push(path.to_owned());
    hand_over(path, owner).map_err(|fault| format!("Failed setting up socket: {fault}"))?;
    Ok(listener)
}

/// Gives a socket to its user and group, and opens it to whom it is for.
fn hand_over(path: &Path, owner: &UnixSockets) -> Result<(), String> {
    let user = match owner.user.as_str() {
        "" => Uid::current(),
        name => user(name)?,
    };
    let group = match owner.group.as_str() {
        "" => Gid::current(),
        id => Gid::from_raw(id.parse().map_err(|_| format!("invalid group specified: {id}"))?),
    };
    chown(path, Some(user.as_raw()), Some(group.as_raw())).map_err(|error| {
        let shown = path.display();
        format!(
            "failed setting ownership to {user}:{group} on {:?}: chown {shown}: {}",
            shown.to_string(),
            reason(&error)
        )
    })?;
    if owner.mode.is_empty() {
        return Ok(());
    }
    let mode = u32::from_str_radix(&owner.mode, 8)
        .map_err(|_| format!("invalid mode specified: {}", owner.mode))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| {
        let shown = path.display();
        format!(
            "failed setting permissions to {mode} on {:?}: chmod {shown}: {}",
            shown.to_string(),
            reason(&error)
        )
    })
}

/// A user by number or by name.
fn user(name: &str) -> Result<Uid, String> {
    if let Ok(id) = name.parse() {
        return Ok(Uid::from_raw(id));
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid),
        _ => Err(format!("failed to look up user {name}: user: unknown user {name}")),
    }
}

// === impl SocketFiles ===

impl Drop for SocketFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            // Whoever took it away in the meantime did what is to be done.
            let _gone = fs::remove_file(path);
        }
    }
}
