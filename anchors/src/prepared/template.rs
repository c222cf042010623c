//! Templates: queries whose texts are filled in from the name by which they are asked for.

use regex::Regex;

use super::{NAME_PREFIX_MATCH, PreparedQuery, ServiceQuery};
use crate::interpolate::{Meaningless, Names, Text, Unreadable};
use crate::pairs::Pairs;
use crate::pattern::{self, Refused};

/// Why a template cannot be used. Printed in Consul's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// There is no such kind.
    #[error("Bad Template.Type '{0}'")]
    Kind(Box<str>),
    /// A text of the query is not well formed.
    #[error("Bad format '{text}' in Service{place}: {reason}")]
    Format {
        /// The text.
        text: Box<str>,
        /// Where it stands.
        place: Box<str>,
        /// What is wrong.
        reason: Unreadable,
    },
    /// The pattern is none.
    #[error("Bad Regexp: {0}")]
    Pattern(Refused),
    /// A text of the query stands for nothing.
    #[error("Bad evaluation for '{text}' in Service{place}: {reason}")]
    Evaluation {
        /// The text.
        text: Box<str>,
        /// Where it stands.
        place: Box<str>,
        /// What is wrong.
        reason: Meaningless,
    },
}

impl PreparedQuery {
    /// Whether it can be used as the template that it may be.
    ///
    /// # Errors
    /// What Consul finds wrong with it.
    pub fn check_template(&self) -> Result<(), BadTemplate> {
        if !self.is_template() {
            return Ok(());
        }
        if *self.template.kind != *NAME_PREFIX_MATCH {
            return Err(BadTemplate::Kind(self.template.kind.clone()));
        }
        let mut service = self.service.clone();
        visit(&mut service, &mut |place, text| {
            Text::parse(text).map_err(|reason| BadTemplate::Format {
                text: text.into(),
                place: place.into(),
                reason,
            })?;
            Ok(text.into())
        })?;
        // Its own name is the shortest one for which it will be asked.
        self.rendered(&self.name, "").map(|_| ())
    }

    /// The query for a name.
    ///
    /// # Errors
    /// [`BadTemplate`]: none that was checked fails, unless for this name a text is no number where one is wanted.
    pub fn rendered(&self, name: &str, segment: &str) -> Result<Self, BadTemplate> {
        let pattern = self.pattern()?;
        let captures = pattern.as_ref().and_then(|pattern| pattern.captures(name));
        let matches: Vec<Box<str>> = captures
            .iter()
            .flat_map(|captures| captures.iter())
            .map(|group| group.map_or("", |group| group.as_str()).into())
            .collect();
        let value = |of: &str| {
            let value = match of {
                "name.full" => name,
                "name.prefix" => &self.name,
                "name.suffix" => name.strip_prefix(&*self.name).unwrap_or(name),
                "agent.segment" => segment,
                _ => return None,
            };
            Some(value.to_owned())
        };
        let names = Names { value: &value, matches: Some(&matches) };
        let mut query = self.clone();
        visit(&mut query.service, &mut |place, text| filled(place, text, &names))?;
        if self.template.remove_empty_tags {
            // Consul tells an empty list afterwards, also where none was given.
            query.service.tags.get_or_insert_default().retain(|tag| !tag.is_empty());
        }
        Ok(query)
    }

    fn pattern(&self) -> Result<Option<Regex>, BadTemplate> {
        match &*self.template.regexp {
            "" => Ok(None),
            text => pattern::compile_alone(text).map(Some).map_err(BadTemplate::Pattern),
        }
    }
}

fn filled(place: &str, text: &str, names: &Names<'_>) -> Result<Box<str>, BadTemplate> {
    let (text_of, place_of) = (|| text.into(), || place.into());
    let read = Text::parse(text).map_err(|reason| BadTemplate::Format {
        text: text_of(),
        place: place_of(),
        reason,
    })?;
    let filled = read.fill(names).map_err(|reason| BadTemplate::Evaluation {
        text: text_of(),
        place: place_of(),
        reason,
    })?;
    Ok(filled.into())
}

/// What is done with each text: its place and itself, to what stands there afterwards.
type Visitor<'a> = dyn FnMut(&str, &str) -> Result<Box<str>, BadTemplate> + 'a;

/// Replaces every text of a service's query, in Consul's order.
fn visit(service: &mut ServiceQuery, change: &mut Visitor<'_>) -> Result<(), BadTemplate> {
    service.service = change(".Service", &service.service)?;
    list(".Failover.Datacenters", service.failover.datacenters.as_mut(), change)?;
    for (at, target) in service.failover.targets.iter_mut().flatten().enumerate() {
        target.peer = change(&format!(".Failover.Targets[{at}].Peer"), &target.peer)?;
        let place = format!(".Failover.Targets[{at}].Datacenter");
        target.datacenter = change(&place, &target.datacenter)?;
    }
    list(".IgnoreCheckIDs", service.ignore_check_ids.as_mut(), change)?;
    service.near = change(".Near", &service.near)?;
    list(".Tags", service.tags.as_mut(), change)?;
    pairs(".NodeMeta", service.node_meta.as_mut(), change)?;
    pairs(".ServiceMeta", service.service_meta.as_mut(), change)?;
    service.peer = change(".Peer", &service.peer)?;
    Ok(())
}

fn list(
    place: &str,
    texts: Option<&mut Vec<Box<str>>>,
    change: &mut Visitor<'_>,
) -> Result<(), BadTemplate> {
    for (at, text) in texts.into_iter().flatten().enumerate() {
        *text = change(&format!("{place}[{at}]"), text)?;
    }
    Ok(())
}

fn pairs(
    place: &str,
    pairs: Option<&mut Pairs>,
    change: &mut Visitor<'_>,
) -> Result<(), BadTemplate> {
    let Some(pairs) = pairs else { return Ok(()) };
    let changed: Result<Pairs, BadTemplate> = pairs
        .iter()
        .map(|(key, value)| Ok((key, change(&format!("{place}[{key}]"), value)?)))
        .collect();
    *pairs = changed?;
    Ok(())
}
