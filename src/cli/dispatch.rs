//! From words to a command: which one, whether its use is asked for, and what to say when there is none.

use super::{
    Call, Entry, FAILED, FAILED_OTHERWISE, GROUPS, LATER, UNKNOWN, argv, entries, print_err,
    print_out, usage, version,
};

/// What a command line asks for.
#[derive(Debug, PartialEq)]
struct Asked<'a> {
    /// The words of the command.
    path: Vec<&'a str>,
    /// What follows them.
    rest: &'a [String],
    /// Whether its use is asked for; `-h` counts anywhere before `--`.
    help: bool,
    /// Whether the version is asked for, before any command.
    version: bool,
    /// Whether flags stand before the command.
    flags_before: bool,
}

/// No command has more words.
const WORDS_MAX: usize = 3;
/// Commands that tell a fault of their flags once more, after the list of flags.
const TOLD_TWICE: &[&str] = &["connect ca", "connect expose", "operator", "tls", "troubleshoot"];
/// Commands that tell it once more as it is.
const REPEATED: &[&str] = &["snapshot inspect", "validate"];
/// Commands whose exit code 1 says something else.
const CODE_TWO: &[&str] = &["intention check", "intention match"];

/// Runs what the words ask for.
pub(super) fn run(program: &str, words: &[String]) -> u8 {
    let asked = read(words);
    let name = asked.path.join(" ");
    if asked.version {
        print_out(&version::pretty());
        return 0;
    }
    if name.is_empty() {
        return page(&usage::program(program), asked.help, UNKNOWN);
    }
    if let Some(entry) = entries().find(|entry| entry.name() == name) {
        return if asked.help || asked.flags_before {
            misplaced(&usage::command(program, entry), asked.help)
        } else {
            call(entry, asked.rest)
        };
    }
    if GROUPS.iter().any(|group| group.name == name) {
        return if asked.flags_before && !asked.help {
            misplaced(&usage::group(program, &name), false)
        } else {
            page(&usage::group(program, &name), asked.help, FAILED)
        };
    }
    if LATER.contains(&name.as_str()) {
        print_err(&format!("The {name:?} command is not supported yet: see README.md for what is"));
        return FAILED;
    }
    page(&usage::program(program), asked.help, UNKNOWN)
}

/// A page that was asked for goes to standard output, another one to standard error.
fn page(text: &str, asked: bool, otherwise: u8) -> u8 {
    let text = text.trim_end_matches('\n');
    if asked {
        print_out(text);
        0
    } else {
        print_err(text);
        otherwise
    }
}

fn misplaced(page_of_command: &str, asked: bool) -> u8 {
    let told = "Invalid flags before the subcommand. If these flags are for\nthe subcommand, please put them after the subcommand.";
    if asked {
        page(page_of_command, true, FAILED)
    } else {
        page(&format!("{told}\n\n{page_of_command}"), false, FAILED)
    }
}

fn read(words: &[String]) -> Asked<'_> {
    let mut asked =
        Asked { path: Vec::new(), rest: &[], help: false, version: false, flags_before: false };
    for (place, word) in words.iter().enumerate() {
        match word.as_str() {
            "--" => break,
            "-h" | "-help" | "--help" => asked.help = true,
            "-v" | "-version" | "--version" if asked.path.is_empty() => asked.version = true,
            flag if flag.starts_with('-') => asked.flags_before |= asked.path.is_empty(),
            // One word with a space is no command, also when its parts are.
            spaced if asked.path.is_empty() && spaced.contains(' ') => break,
            _ if asked.path.is_empty() => {
                asked.path = longest(&words[place..]);
                asked.rest = &words[place + asked.path.len()..];
            }
            _ => {}
        }
    }
    asked
}

/// The longest run of words that is a command, else the first one.
fn longest(words: &[String]) -> Vec<&str> {
    let count = (2..=WORDS_MAX.min(words.len())).rev().find(|count| {
        let name = words[..*count].join(" ");
        entries().any(|entry| entry.name() == name)
            || GROUPS.iter().any(|group| group.name == name)
            || LATER.contains(&name.as_str())
    });
    words.iter().take(count.unwrap_or(1)).map(String::as_str).collect()
}

/// Reads a command's flags and runs it.
fn call(entry: &'static Entry, words: &[String]) -> u8 {
    let command = entry.command();
    let fault = match argv::rewrite(&command, words) {
        Ok(words) => match command.clone().no_binary_name(true).try_get_matches_from(words) {
            Ok(matches) => return (entry.run)(&Call { matches, entry }),
            Err(fault) => fault.to_string(),
        },
        Err(fault) => fault.to_string(),
    };
    print_err(&format!("{fault}\n{}", usage::flag_list(&command)));
    let name = entry.name();
    if TOLD_TWICE.iter().any(|start| name.starts_with(start)) {
        print_err(&format!("Failed to parse args: {fault}"));
    } else if REPEATED.contains(&name.as_str()) {
        print_err(&fault);
    }
    if CODE_TWO.contains(&name.as_str()) { FAILED_OTHERWISE } else { FAILED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_to_commands() {
        for (line, path, rest, help, before) in [
            ("kv put a b", "kv put", "a b", false, false),
            ("kv put -h", "kv put", "-h", true, false),
            ("-h kv put", "kv put", "", true, false),
            ("-foo kv put x", "kv put", "x", false, true),
            ("kv nope", "kv", "nope", false, false),
            ("kv -cas put", "kv", "-cas put", false, false),
            ("nope a", "nope", "a", false, false),
            ("kv get -- -h", "kv get", "-- -h", false, false),
            ("services export x", "services export", "x", false, false),
            ("acl token create x", "acl token create", "x", false, false),
            ("acl token nope", "acl token", "nope", false, false),
            ("acl nope create", "acl", "nope create", false, false),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let asked = read(&words);
            assert_eq!(
                (asked.path.join(" ").as_str(), asked.rest.join(" ").as_str()),
                (path, rest),
                "{line}"
            );
            assert_eq!((asked.help, asked.flags_before), (help, before), "{line}");
        }
    }
}
