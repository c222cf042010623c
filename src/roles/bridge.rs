//! Public names in a zone of the DNS around: published here, told to secondaries, and kept on the server that holds the zone.
//!
//! ```text
//!   the index moves ──▶ content ──▶ image: our own answers, NOTIFY to the secondaries
//!                          └──▶ steps from what the server has ──▶ one signed update each
//!   now and again, and at the start: what the server has is looked at, by a transfer
//! ```

mod primary;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::counter;
use proconsul_anchors::acl::Authority;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::index::Index;
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::TableId;
use proconsul_dns::answer::View;
use proconsul_dns::bridge::{Bridge, Content, Image, content, next_serial, servers};
use proconsul_dns::name::Name;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

pub(crate) use self::primary::Primary;

/// Changes that come together are told together.
const GATHER: Duration = Duration::from_millis(100);
/// How soon a server that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// How often an index that does not move is looked at all the same.
const LOOK: Duration = Duration::from_secs(60);
/// How often a secondary that does not answer is told.
const NOTIFY_TIMES: usize = 3;
/// How long it may take to answer.
const NOTIFY_WAIT: Duration = Duration::from_secs(2);

/// Who keeps one zone.
pub(crate) struct Bridger {
    /// The door.
    pub(crate) handle: Handle,
    /// The settings of DNS, with the zones that are published.
    pub(crate) dns: Arc<ArcSwap<proconsul_dns::Settings>>,
    /// The zone.
    pub(crate) bridge: Arc<Bridge>,
    /// The server that holds it, if it is another.
    pub(crate) primary: Option<Primary>,
    /// Who is told of each version.
    pub(crate) secondaries: Vec<SocketAddr>,
    /// Where the last version is kept, so that its number does not rise over a restart.
    pub(crate) file: Option<PathBuf>,
}

/// What is seen of the index for the zone.
enum Seen {
    /// This.
    All(Arc<Index>, Authority),
    /// Nothing may be told.
    Nothing,
    /// What is true now cannot be told: what was told stands.
    Unsure,
}

impl Bridger {
    /// Keeps the zone, for ever.
    pub(crate) async fn run(mut self) {
        let (tell, told) = watch::channel(Content::new());
        if let Some(primary) = self.primary.take() {
            tokio::spawn(keep(primary, self.handle.clone(), self.bridge.zone.clone(), told));
        }
        let mut last = None;
        loop {
            let (seen, index) = self.look();
            if let Some(content) = self.content(&seen) {
                let first = last.is_none();
                last = Some(self.publish(&seen, &content, last).await);
                // An empty zone is told, too: names may be left from before.
                tell.send_if_modified(|before| {
                    let differs = first || *before != content;
                    *before = content;
                    differs
                });
            }
            self.wait(index).await;
        }
    }

    /// What whoever asks by DNS without a token of its own may see.
    fn look(&self) -> (Seen, u64) {
        match self.handle.lookup(&self.caller(), &query()) {
            Ok(answer) => match answer.outcome {
                Outcome::Resolve | Outcome::Attest => {
                    (Seen::All(answer.at, answer.authority), answer.index)
                }
                Outcome::Defer => (Seen::Unsure, answer.index),
                Outcome::Refuse => (Seen::Nothing, answer.index),
            },
            // Whoever is unknown sees nothing. When that changes nobody tells.
            Err(_) => (Seen::Nothing, 0),
        }
    }

    fn caller(&self) -> Caller {
        Caller { token: self.handle.acl().tokens.for_dns(), ..Caller::default() }
    }

    fn content(&self, seen: &Seen) -> Option<Content> {
        match seen {
            Seen::Unsure => None,
            Seen::Nothing => Some(Content::new()),
            Seen::All(index, authority) => {
                Some(self.view(index, authority, |view| content(view, &self.bridge.public)))
            }
        }
    }

    fn view<T>(&self, index: &Index, authority: &Authority, make: impl Fn(View<'_>) -> T) -> T {
        let settings = self.dns.load();
        make(View {
            index,
            datacenter: &settings.datacenter,
            authority,
            settings: &settings,
            now: self.handle.now(),
            edns: true,
            source: None,
            beyond: None,
        })
    }

    /// Publishes the zone when it is another than before.
    async fn publish(
        &self,
        seen: &Seen,
        content: &Content,
        last: Option<Arc<Image>>,
    ) -> Arc<Image> {
        let servers = match seen {
            Seen::All(index, authority) => self.view(index, authority, servers),
            Seen::Nothing | Seen::Unsure => Vec::new(),
        };
        let image = |serial| Image::new(Arc::clone(&self.bridge), content, &servers, serial);
        let kept = || fs::read_to_string(self.file.as_ref()?).ok();
        let (before, same) = match &last {
            Some(last) => (last.serial(), image(last.serial()) == **last),
            None => {
                let text = kept().unwrap_or_default();
                let serial = Image::serial_in(&text).unwrap_or(0);
                (serial, image(serial).to_string() == text)
            }
        };
        if same && let Some(last) = last {
            return last;
        }
        let now = self.handle.now().as_millis() / 1000;
        let serial = if same { before } else { next_serial(before, now) };
        let image = Arc::new(image(serial));
        self.dns.load().images.publish(&image);
        if !same {
            self.write_down(&image);
            self.notify().await;
        }
        image
    }

    fn write_down(&self, image: &Image) {
        let Some(file) = &self.file else { return };
        let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
        if let Err(error) = folder.and_then(|()| fs::write(file, image.to_string())) {
            warn!(%error, file = %file.display(), "a zone was not written down; its number rises at the next start");
        }
    }

    /// Tells the secondaries; who does not hear it looks by itself when its time comes.
    async fn notify(&self) {
        let message = |id| proconsul_dns::server::update::notification(&self.bridge.zone, id);
        for secondary in &self.secondaries {
            let (secondary, message) = (*secondary, message(rand::random()));
            tokio::spawn(async move {
                if let Err(error) = tell(secondary, &message).await {
                    warn!(%error, %secondary, "a secondary was not told that a zone changed");
                }
            });
        }
    }

    /// Until the index moves.
    async fn wait(&self, index: u64) {
        let waited = self.handle.wait(&self.caller(), &query(), index.max(1), LOOK).await;
        tokio::time::sleep(if waited.is_ok() { GATHER } else { RETRY }).await;
    }
}

/// Keeps the server that holds the zone up to date. How long it takes holds up nobody else.
async fn keep(
    mut primary: Primary,
    handle: Handle,
    zone: Name,
    mut wanted: watch::Receiver<Content>,
) {
    if wanted.changed().await.is_err() {
        return;
    }
    loop {
        let want = wanted.borrow_and_update().clone();
        match primary.keep(&want, handle.now().as_millis() / 1000).await {
            Ok(0) => {}
            Ok(steps) => {
                counter!("consul.bridge.updates").increment(steps as u64);
                info!(%zone, steps, "a bridged zone was updated");
            }
            Err(error) => {
                counter!("consul.bridge.failures").increment(1);
                warn!(%zone, server = %primary.server(), %error, "a bridged zone is not up to date");
            }
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(primary.due()) => {}
        }
    }
}

/// All that the content of a zone depends on.
fn query() -> Query {
    let access = [TableId::Token, TableId::Policy, TableId::Role].map(Query::Table);
    let mut all =
        vec![Query::Services { by_node_meta: true }, Query::Checks { by_node_meta: true }];
    all.extend(access);
    Query::Several(all)
}

/// Sends a notification until it is answered.
async fn tell(secondary: SocketAddr, message: &[u8]) -> std::io::Result<()> {
    let own = if secondary.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(secondary).await?;
    let mut answer = [0; 512];
    for _ in 0..NOTIFY_TIMES {
        socket.send(message).await?;
        match timeout(NOTIFY_WAIT, socket.recv(&mut answer)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => {}
        }
    }
    Err(std::io::ErrorKind::TimedOut.into())
}
