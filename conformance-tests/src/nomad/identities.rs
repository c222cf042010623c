//! A Nomad whose workloads log in to the subject with identities of their own, under default-deny.

use std::time::Duration;

use super::Nomad;
use crate::json::Json;
use crate::subject::{Setup, Subject};
use crate::wait::until;

/// The initial management token: a made-up one, known to these subjects alone.
pub const MANAGEMENT: &str = "11111111-aaaa-bbbb-cccc-000000000000";

/// Scheduling, logins and the start of a task, on a busy machine.
const DEPLOYED_MAX: Duration = Duration::from_secs(120);

/// The rules that Nomad's documentation gives to the token of an agent that is server and client.
const AGENT_RULES: &str = r#"agent_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
service_prefix "" { policy = "write" }
acl  = "write"
mesh = "write""#;

/// What Nomad is told of its identities.
const IDENTITIES: &str = r#"  service_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }
  task_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }
"#;

/// Both programs.
#[derive(Debug)]
pub struct World {
    /// Who is asked.
    pub subject: Subject,
    /// Who schedules.
    pub nomad: Nomad,
}

impl World {
    /// Starts a subject that denies by default and knows [`MANAGEMENT`], and a Nomad with a token of its own.
    ///
    /// # Errors
    /// Why one of them did not come up.
    pub fn start(setup: Setup) -> Result<Self, String> {
        let subject = Subject::start(setup)?;
        let more = format!("  token = \"{}\"\n{IDENTITIES}", agent_token(&subject)?);
        let nomad = Nomad::start_with(subject.http_address(), &more)?;
        Ok(Self { subject, nomad })
    }

    /// `nomad setup consul`: an auth method, binding rules for services and tasks, a policy and a role for tasks. What it
    /// told.
    ///
    /// # Errors
    /// What it told when it failed.
    pub fn set_up(&self) -> Result<String, String> {
        let jwks = format!("http://{}/.well-known/jwks.json", self.nomad.address());
        let mut command = self.nomad.command(self.subject.http_address(), MANAGEMENT)?;
        command.args(["setup", "consul", "-y", "-jwks-url", &jwks]);
        let ended = command.output().map_err(|error| error.to_string())?;
        let told = String::from_utf8_lossy(&ended.stdout).into_owned();
        if ended.status.success() {
            return Ok(told);
        }
        Err(format!("{told}{}", String::from_utf8_lossy(&ended.stderr)))
    }

    /// The body of an answer.
    ///
    /// # Panics
    /// When it is no success.
    #[must_use]
    pub fn done(&self, method: &str, target: &str, body: &str) -> String {
        done(&self.subject, method, target, body)
    }

    /// The same, read.
    ///
    /// # Panics
    /// When it is no JSON.
    #[must_use]
    pub fn json(&self, target: &str) -> Json {
        let text = self.done("GET", target, "");
        Json::parse(&text).unwrap_or_else(|| panic!("{target}: {text}"))
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// When it does not come to be so, with the ends of both logs.
    pub fn wait(&self, what: &str, fact: impl Fn() -> bool) {
        let waited = until(what, DEPLOYED_MAX, || fact().then_some(()));
        assert!(waited.is_ok(), "{waited:?}\n{}\n{}", self.nomad.log_end(), self.subject.log_end());
    }
}

fn agent_token(subject: &Subject) -> Result<String, String> {
    let rules = AGENT_RULES.replace('"', "\\\"").replace('\n', "\\n");
    let policy = format!(r#"{{"Name": "nomad-agent", "Rules": "{rules}"}}"#);
    let _made = done(subject, "PUT", "/v1/acl/policy", &policy);
    let token = r#"{"Description": "Nomad", "Policies": [{"Name": "nomad-agent"}]}"#;
    let made = done(subject, "PUT", "/v1/acl/token", token);
    let secret =
        Json::parse(&made).and_then(|token| Some(token.get("SecretID")?.text().to_owned()));
    secret.ok_or_else(|| format!("a token without a secret: {made}"))
}

fn done(subject: &Subject, method: &str, target: &str, body: &str) -> String {
    let answer = subject.ask(method, target, body);
    assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
    answer.text()
}
