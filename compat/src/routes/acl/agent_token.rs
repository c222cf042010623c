//! `PUT /v1/agent/token/…`: the tokens that this agent itself uses.

use proconsul_anchors::acl::{Act, Tokens};
use proconsul_anchors::caller::Secret;

use super::{form, rest};
use crate::extract::Ask;
use crate::reject::Reject;
use crate::reject::acl::AclReject;
use crate::reply::Reply;
use crate::wire::acl::token::AgentTokenForm;
use crate::wire::decode::Hint;

/// `PUT /v1/agent/token/<which>`.
pub(crate) async fn set(mut ask: Ask) -> Result<Reply, Reject> {
    let node = ask.site.settings.identity.node.clone();
    ask.demand(Act::agent_write(&node))?;
    let form: AgentTokenForm = form(&mut ask, "Request decode failed", Hint::None).await?;
    let which = rest(&ask);
    let place = place(&which).ok_or_else(|| AclReject::AgentToken(which.clone()))?;
    let token = (!form.token.is_empty()).then(|| Secret::new(&form.token));
    let kept = ask.site.tokens.change(|tokens| *place(tokens) = token);
    ask.site.agent.sync_soon();
    kept.map_err(|fault| AclReject::Program(fault.to_string()))?;
    tracing::info!(token = %which, "an agent's token was replaced");
    Ok(Reply::nothing())
}

/// Where a token is, by each of its names.
fn place(which: &str) -> Option<fn(&mut Tokens) -> &mut Option<Secret>> {
    Some(match which {
        "acl_token" | "default" => |tokens| &mut tokens.default,
        "acl_agent_token" | "agent" => |tokens| &mut tokens.agent,
        "acl_agent_master_token" | "agent_master" | "agent_recovery" => {
            |tokens| &mut tokens.agent_recovery
        }
        "acl_replication_token" | "replication" => |tokens| &mut tokens.replication,
        "config_file_service_registration" => |tokens| &mut tokens.config_file_service_registration,
        "dns_token" | "dns" => |tokens| &mut tokens.dns,
        _ => return None,
    })
}
