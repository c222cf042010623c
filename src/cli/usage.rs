//! How commands tell their use: a page on standard output when asked, a list of flags on standard error after a mistake.

use clap::{Arg, Command};

use super::argv::is_boolean;
use super::{Entry, GROUPS, LATER, WORDS, entries};

/// Width of a page.
const COLUMNS: usize = 72;

/// The page of the program.
pub(super) fn program(name: &str) -> String {
    let mut rows: Vec<(&str, &str)> = GROUPS
        .iter()
        .filter(|group| !group.name.contains(' '))
        .map(|group| (group.name, group.about))
        .collect();
    rows.extend(entries().filter_map(|entry| match entry.path {
        [only] => Some((*only, entry.about)),
        _ => None,
    }));
    let later = wrapped(&LATER.join(", "), "    ");
    format!(
        "Usage: {name} [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n{}\n\nConsul's commands that are not \
         supported yet (see the README):\n{later}\n",
        list(rows)
    )
}

/// The page of words that only lead to further ones.
pub(super) fn group(program: &str, name: &str) -> String {
    let about = GROUPS.iter().find(|group| group.name == name).map_or("", |group| group.about);
    let below = |path: &str| {
        let last = path.strip_prefix(name)?.strip_prefix(' ')?;
        (!last.contains(' ')).then(|| last.to_owned())
    };
    let commands = entries().filter_map(|entry| Some((below(&entry.name())?, entry.about)));
    let groups = GROUPS.iter().filter_map(|group| Some((below(group.name)?, group.about)));
    let rows: Vec<(String, &str)> = commands.chain(groups).collect();
    let rows = rows.iter().map(|(name, about)| (name.as_str(), *about)).collect();
    format!(
        "Usage: {program} {name} <subcommand> [options] [args]\n\n  {about}.\n\nSubcommands:\n{}\n",
        list(rows)
    )
}

fn list(mut rows: Vec<(&str, &str)>) -> String {
    rows.sort_unstable();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter()
        .map(|(name, about)| format!("    {name:width$}    {about}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The page of a command.
pub(super) fn command(program: &str, entry: &Entry) -> String {
    let words = if entry.words.is_empty() { String::new() } else { format!(" {}", entry.words) };
    let mut page =
        format!("Usage: {program} {} [options]{words}\n\n  {}.\n", entry.name(), entry.about);
    let command = entry.command();
    let (api, own): (Vec<&Arg>, Vec<&Arg>) =
        flags(&command).partition(|flag| super::client::is_common(flag.get_id().as_str()));
    for (title, flags) in [("HTTP API Options", api), ("Command Options", own)] {
        if !flags.is_empty() {
            page.push_str(&format!("\n{title}\n"));
        }
        for flag in flags {
            page.push_str(&format!(
                "\n  -{}{}\n{}\n",
                flag.get_id(),
                value_of(flag),
                wrapped(&help(flag), "     ")
            ));
        }
    }
    page
}

/// What follows a mistake in the flags.
pub(super) fn flag_list(command: &Command) -> String {
    let mut list = "Usage:".to_owned();
    for flag in flags(command) {
        let value = value_of(flag);
        let value = value.trim_start_matches(['=', '<']).trim_end_matches('>');
        let space = if value.is_empty() { "" } else { " " };
        list.push_str(&format!("\n  -{}{space}{value}\n    \t{}", flag.get_id(), help(flag)));
    }
    list
}

fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    let mut flags: Vec<&Arg> =
        command.get_arguments().filter(|arg| arg.get_id() != WORDS).collect();
    flags.sort_by_key(|flag| flag.get_id().as_str());
    flags.into_iter()
}

fn value_of(flag: &Arg) -> String {
    let name = flag.get_value_names().and_then(<[_]>::first).map_or("value", |name| name.as_str());
    if is_boolean(flag) { String::new() } else { format!("=<{name}>") }
}

fn help(flag: &Arg) -> String {
    flag.get_help().map(ToString::to_string).unwrap_or_default()
}

/// Words in lines of the page's width, each behind an indentation.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{indent}{word}")),
        }
    }
    lines.join("\n")
}
