//! `POST /v1/internal/acl/authorize`: what a token may do, asked without doing it.

use proconsul_anchors::acl::{Access, Act, Reach, Resource};

use super::form;
use crate::extract::Ask;
use crate::go::text::quote;
use crate::reject::Reject;
use crate::reject::acl::AclReject;
use crate::reply::Reply;
use crate::wire::acl::authorize::{AnswerOut, QuestionForm};
use crate::wire::decode::Hint;

/// Questions that are answered at once.
const QUESTIONS_MAX: usize = 64;

/// `POST /v1/internal/acl/authorize`.
pub(crate) async fn authorize(mut ask: Ask) -> Result<Reply, Reject> {
    let questions: Vec<QuestionForm> =
        form(&mut ask, "Failed to decode request body", Hint::None).await?;
    if questions.len() > QUESTIONS_MAX {
        return Err(AclReject::Questions(QUESTIONS_MAX).into());
    }
    if questions.is_empty() {
        return Ok(Reply::json::<[AnswerOut<'_>]>(&[]));
    }
    ask.own_datacenter(ask.datacenter())?;
    let authority = ask.authority()?;
    let answer = |question: &QuestionForm| match act(question) {
        Ok(act) => Ok(authority.allows(act)),
        Err(told) => Err(AclReject::Question(told)),
    };
    let mut answers = Vec::with_capacity(questions.len());
    for question in &questions {
        answers.push(AnswerOut {
            resource: &question.resource.0,
            segment: &question.segment,
            access: &question.access,
            allow: answer(question)?,
        });
    }
    Ok(Reply::json(&answers))
}

/// What is asked for.
fn act(question: &QuestionForm) -> Result<Act<'_>, String> {
    let name = question.resource.0.as_str();
    let resource =
        resource(name).ok_or_else(|| format!("Invalid ACL resource requested: {}", quote(name)))?;
    let named = Reach::Named(question.segment.as_str());
    let reach = if has_names(resource) { named } else { Reach::Whole };
    let (access, reach) = match (question.access.to_lowercase().as_str(), resource) {
        ("read", _) => (Access::Read, reach),
        ("write", _) => (Access::Write, reach),
        ("list", Resource::Key) => (Access::List, reach),
        ("write-prefix", Resource::Key) => (Access::Write, Reach::Under(question.segment.as_str())),
        _ => {
            return Err(format!("Invalid access level for {name} resource: {}", question.access));
        }
    };
    Ok(Act { resource, access, reach })
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "acl" => Resource::Acl,
        "agent" => Resource::Agent,
        "event" => Resource::Event,
        "intention" => Resource::Intention,
        "key" => Resource::Key,
        "keyring" => Resource::Keyring,
        "mesh" => Resource::Mesh,
        "node" => Resource::Node,
        "operator" => Resource::Operator,
        "query" => Resource::Query,
        "service" => Resource::Service,
        "session" => Resource::Session,
        "peering" => Resource::Peering,
        _ => return None,
    })
}

fn has_names(resource: Resource) -> bool {
    !matches!(
        resource,
        Resource::Acl | Resource::Keyring | Resource::Mesh | Resource::Operator | Resource::Peering
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::acl::authorize::ResourceText;

    #[test]
    fn questions_become_acts() {
        let check = |resource: &str, access: &str, told: Result<Act<'_>, &str>| {
            let question = QuestionForm {
                resource: ResourceText(resource.into()),
                segment: "x".into(),
                access: access.into(),
            };
            assert_eq!(act(&question), told.map_err(str::to_owned), "{resource} {access}");
        };
        check("key", "Read", Ok(Act::key_read("x")));
        check("key", "list", Ok(Act::key_list("x")));
        check("key", "write-prefix", Ok(Act::key_write_under("x")));
        check("operator", "write", Ok(Act::operator_write()));
        check("service", "list", Err("Invalid access level for service resource: list"));
        check("nope", "read", Err("Invalid ACL resource requested: \"nope\""));
    }
}
