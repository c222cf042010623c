//! A real Nomad, server and client in one, whose Consul is the subject.

pub mod identities;

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    http::{Answer, Client},
    json::Json,
    subject::{free_port, new_folder},
    wait::until,
};

/// A fresh Nomad elects itself and registers its node within ten seconds on a busy machine.
const READY_MAX: Duration = Duration::from_secs(90);
/// Nomad deregisters its services before it goes.
const STOP_MAX: Duration = Duration::from_secs(60);

/// A running Nomad. Dropping it kills it and removes its files.
#[derive(Debug)]
pub struct Nomad {
    address: SocketAddr,
    folder: PathBuf,
    child: Child,
}

impl Nomad {
    /// Starts the program that `CONFORMANCE_NOMAD` names and waits until its own node is ready.
    ///
    /// # Errors
    /// Why it did not come up, with the end of its log.
    pub fn start(consul: SocketAddr) -> Result<Self, String> {
        Self::start_with(consul, "")
    }

    /// The same with more in its `consul` block, as HCL.
    ///
    /// # Errors
    /// As [`Nomad::start`].
    pub fn start_with(consul: SocketAddr, more: &str) -> Result<Self, String> {
        let binary = binary()?;
        let folder = new_folder();
        let http = free_port();
        fs::write(folder.join("nomad.hcl"), config(&folder.join("data"), http, consul, more))
            .map_err(|e| e.to_string())?;
        let log = fs::File::create(folder.join("log")).map_err(|e| e.to_string())?;
        let errors = log.try_clone().map_err(|e| e.to_string())?;
        let mut command = Command::new(&binary);
        command.args(["agent", "-config"]).arg(folder.join("nomad.hcl"));
        // Nomad reads these before its configuration.
        for name in ["CONSUL_HTTP_ADDR", "CONSUL_HTTP_TOKEN", "NOMAD_ADDR"] {
            command.env_remove(name);
        }
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let child = child.map_err(|e| format!("{binary}: {e}"))?;
        let nomad = Self { address: (Ipv4Addr::LOCALHOST, http).into(), folder, child };
        until("a ready Nomad node", READY_MAX, || nomad.ready())
            .map_err(|vain| format!("{vain}\n{}", nomad.log_end()))?;
        Ok(nomad)
    }

    /// Where its HTTP API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A command of its own program that speaks to it, and to a Consul with a token.
    ///
    /// # Errors
    /// Why there is no such program.
    pub fn command(&self, consul: SocketAddr, token: &str) -> Result<Command, String> {
        let mut command = Command::new(binary()?);
        command.env("NOMAD_ADDR", format!("http://{}", self.address));
        command.env("CONSUL_HTTP_ADDR", consul.to_string()).env("CONSUL_HTTP_TOKEN", token);
        Ok(command)
    }

    fn stop_jobs(&self) {
        let list = |target: &str| Json::parse(&self.try_ask("GET", target, "")?.text());
        for job in list("/v1/jobs").as_ref().map_or(&[][..], Json::items) {
            let id = job.get("ID").map_or("", Json::text);
            let _stopped = self.try_ask("DELETE", &format!("/v1/job/{id}"), "");
        }
        // What does not end in time, the machine's own end has to take.
        let _ended = until("the tasks' end", STOP_MAX, || {
            let allocations = list("/v1/allocations");
            let running = |a: &Json| a.get("ClientStatus").is_some_and(|s| s.text() == "running");
            let none = allocations.is_none_or(|all| !all.items().iter().any(running));
            none.then_some(())
        });
    }

    fn ready(&self) -> Option<()> {
        let nodes = self.try_ask("GET", "/v1/nodes", "")?;
        let nodes = Json::parse(&nodes.text())?;
        nodes
            .items()
            .iter()
            .any(|node| node.at("/Status").is_some_and(|s| s.text() == "ready"))
            .then_some(())
    }

    fn try_ask(&self, method: &str, target: &str, body: &str) -> Option<Answer> {
        Client::new(self.address).ask(method, target, body).ok()
    }

    /// Asks its HTTP API; the JSON of the answer.
    ///
    /// # Panics
    /// When it refuses, or answers no JSON.
    #[must_use]
    pub fn ask(&self, method: &str, target: &str, body: &str) -> Json {
        let answer = self.try_ask(method, target, body);
        let answer =
            answer.unwrap_or_else(|| panic!("{method} {target}: no answer\n{}", self.log_end()));
        assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
        Json::parse(&answer.text())
            .unwrap_or_else(|| panic!("{method} {target}: {}", answer.text()))
    }

    /// Runs a job given as HCL.
    pub fn run(&self, hcl: &str) {
        let escaped = hcl.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let job = self.ask(
            "POST",
            "/v1/jobs/parse",
            &format!("{{\"JobHCL\":\"{escaped}\",\"Canonicalize\":true}}"),
        );
        let _evaluation = self.ask("POST", "/v1/jobs", &format!("{{\"Job\":{job}}}"));
    }

    /// The ids of a job's allocations that are to run.
    #[must_use]
    pub fn allocations(&self, job: &str) -> Vec<String> {
        let listed = self.ask("GET", &format!("/v1/job/{job}/allocations"), "");
        let running = listed
            .items()
            .iter()
            .filter(|a| a.at("/DesiredStatus").is_some_and(|s| s.text() == "run"));
        running.filter_map(|a| Some(a.get("ID")?.text().to_owned())).collect()
    }

    /// A file of a task's `local` folder, if it is there.
    #[must_use]
    pub fn local_file(&self, allocation: &str, task: &str, name: &str) -> Option<String> {
        fs::read_to_string(
            self.folder.join("data/alloc").join(allocation).join(task).join("local").join(name),
        )
        .ok()
    }

    /// How many events of a type a task has had.
    #[must_use]
    pub fn events(&self, allocation: &str, task: &str, kind: &str) -> usize {
        let status = self.ask("GET", &format!("/v1/allocation/{allocation}"), "");
        let events = status.at(&format!("/TaskStates/{task}/Events")).map_or(&[][..], Json::items);
        events.iter().filter(|e| e.get("Type").is_some_and(|t| t.text() == kind)).count()
    }

    /// Interrupts it and waits for its end.
    ///
    /// # Errors
    /// When it does not go.
    pub fn stop(&mut self) -> Result<(), String> {
        let sent =
            Command::new("sh").args(["-c", &format!("kill -INT {}", self.child.id())]).status();
        sent.map_err(|e| e.to_string())?;
        let child = &mut self.child;
        until("Nomad's end", STOP_MAX, || child.try_wait().ok().flatten()).map(|_| ())
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_end(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Lines of its log that hold a text.
    #[must_use]
    pub fn log_lines(&self, text: &str) -> Vec<String> {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(text)).map(ToOwned::to_owned).collect()
    }
}

impl Drop for Nomad {
    fn drop(&mut self) {
        // Its tasks outlive it: a test that failed has left some running.
        self.stop_jobs();
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) && self.stop().is_err() {
            let _killed = self.child.kill().and_then(|()| self.child.wait());
        }
        end_tasks(&self.folder);
        if env::var_os("CONFORMANCE_KEEP").is_none() {
            unmount(&self.folder);
            let _removed = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Ends what Nomad left running: the processes whose words or open files lie in its folder.
fn end_tasks(folder: &std::path::Path) {
    let lies_there = |process: &std::path::Path| {
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        String::from_utf8_lossy(&words).contains(&*folder.to_string_lossy())
            || files
                .filter_map(|file| fs::read_link(file.path()).ok())
                .any(|to| to.starts_with(folder))
    };
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes.filter(|process| lies_there(&process.path())) {
        let id = process.file_name().to_string_lossy().into_owned();
        if id != own && id.bytes().all(|digit| digit.is_ascii_digit()) {
            let _ended = Command::new("kill").args(["-9", &id]).status();
        }
    }
}

/// Nomad keeps the secrets of each task in a file system of its own, until it forgets the allocation.
fn unmount(folder: &std::path::Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    for place in places.filter(|place| std::path::Path::new(place).starts_with(folder)) {
        let _unmounted = Command::new("umount").arg(place).status();
    }
}

fn binary() -> Result<String, String> {
    env::var("CONFORMANCE_NOMAD").map_err(|_| "set CONFORMANCE_NOMAD to a Nomad 1.11.3".to_owned())
}

fn config(data: &std::path::Path, http: u16, consul: SocketAddr, more: &str) -> String {
    let (rpc, serf, data) = (free_port(), free_port(), data.display());
    format!(
        r#"
data_dir  = "{data}"
bind_addr = "127.0.0.1"
log_level = "info"
disable_update_check = true
leave_on_interrupt = false

ports {{
  http = {http}
  rpc  = {rpc}
  serf = {serf}
}}

advertise {{
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}}

server {{
  enabled          = true
  bootstrap_expect = 1
}}

client {{
  enabled = true
  servers = ["127.0.0.1:{rpc}"]
  network_interface = "lo"
  options = {{
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"
  }}
}}

plugin "raw_exec" {{
  config {{
    enabled = true
  }}
}}

consul {{
  address = "{consul}"
{more}}}
"#
    )
}
