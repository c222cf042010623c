//! Where configuration comes from: files, folders, fragments on the command line, flags.

use std::fs;
use std::path::{Path, PathBuf};

use proconsul_hcl::Node;

use super::deprecated;
use super::keys::TOP;
use super::merge;
use super::raw::{self, Raw};

/// A language of configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The first HashiCorp configuration language.
    Hcl,
    /// JSON.
    Json,
}

impl Format {
    /// The language of a file by its ending.
    fn of(path: &Path) -> Option<Self> {
        let path = path.to_string_lossy();
        if path.ends_with(".json") {
            Some(Self::Json)
        } else if path.ends_with(".hcl") {
            Some(Self::Hcl)
        } else {
            None
        }
    }

    /// The language that a flag names; an empty name leaves it to the endings.
    ///
    /// # Errors
    /// Any other name.
    pub(crate) fn named(name: &str) -> Result<Option<Self>, String> {
        match name {
            "" => Ok(None),
            "hcl" => Ok(Some(Self::Hcl)),
            "json" => Ok(Some(Self::Json)),
            _ => Err("config: -config-format must be either 'hcl' or 'json'".to_owned()),
        }
    }
}

/// Everything that a command line says about configuration.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// Files and folders, in the order given.
    pub(crate) paths: Vec<PathBuf>,
    /// The language of all files, whatever their ending.
    pub(crate) format: Option<Format>,
    /// Fragments of HCL; they win over everything.
    pub(crate) fragments: Vec<String>,
    /// The flags.
    pub(crate) flags: Option<Raw>,
    /// `-dev`
    pub(crate) dev: bool,
}

/// The sources merged into one, and what the user should know.
#[derive(Debug)]
pub(crate) struct Merged {
    /// What is configured.
    pub(crate) raw: Raw,
    /// Sentences for standard error.
    pub(crate) warnings: Vec<String>,
}

/// Reads and merges all sources: lists of flags, files, flags, fragments.
///
/// # Errors
/// The first file or fragment that cannot be read, with everything that is wrong with it.
pub(crate) fn load(sources: &Sources) -> Result<Merged, String> {
    let mut warnings = Vec::new();
    let mut flags = sources.flags.clone().unwrap_or_else(|| Raw::empty(TOP));
    warnings.extend(deprecated::flags(&mut flags));
    let (lists, values) = merge::split_lists(flags);
    let files = read_all(sources, &mut warnings)?;
    let mut raws = vec![lists];
    for (name, format, text) in files {
        raws.extend(parse(&name, format, &text, &mut warnings)?);
    }
    raws.push(values);
    for (number, text) in sources.fragments.iter().enumerate() {
        raws.extend(parse(&format!("flags-{number}.hcl"), Format::Hcl, text, &mut warnings)?);
    }
    Ok(Merged { raw: merge::merge(raws), warnings })
}

type File = (String, Format, String);

fn read_all(sources: &Sources, warnings: &mut Vec<String>) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    for path in &sources.paths {
        let shown = path.display();
        let about = fs::metadata(path).map_err(|fault| {
            format!("config: Open failed on {shown}. open {shown}: {}", reason(&fault))
        })?;
        if about.is_dir() {
            files.extend(read_folder(path, sources.format, warnings)?);
        } else {
            let format = sources.format.or_else(|| Format::of(path));
            let format = format.ok_or_else(|| {
                format!("file {shown} has unknown extension; must be .hcl or .json, or config format must be set")
            })?;
            files.push(read_file(path, format)?);
        }
    }
    Ok(files)
}

/// The files of a folder by name; folders inside it and other endings are passed over.
fn read_folder(
    folder: &Path,
    format: Option<Format>,
    warnings: &mut Vec<String>,
) -> Result<Vec<File>, String> {
    let failed = |fault: &std::io::Error| {
        format!("config: Readdir failed on {}. {}", folder.display(), reason(fault))
    };
    let entries = fs::read_dir(folder).map_err(|fault| failed(&fault))?;
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let path = if path.is_symlink() {
            fs::canonicalize(&path).map_err(|fault| failed(&fault))?
        } else {
            path
        };
        if path.is_dir() {
            continue;
        }
        match format.or_else(|| Format::of(&path)) {
            Some(format) => files.push(read_file(&path, format)?),
            None => warnings.push(format!(
                "skipping file {}, extension must be .hcl or .json, or config format must be set",
                path.display()
            )),
        }
    }
    Ok(files)
}

fn read_file(path: &Path, format: Format) -> Result<File, String> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|fault| {
        format!("config: failed to read {name}: open {name}: {}", reason(&fault))
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("failed to parse {name}: the file is not UTF-8"))?;
    Ok((name, format, text))
}

/// The operating system's sentence in the words that Consul prints.
pub(crate) fn reason(fault: &std::io::Error) -> String {
    match fault.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => fault.to_string(),
    }
}

/// One source; nothing when it is empty.
fn parse(
    name: &str,
    format: Format,
    text: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<Raw>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let failed = |fault: String| format!("failed to parse {name}: {fault}");
    let document: Node = match format {
        Format::Hcl => proconsul_hcl::read(text),
        Format::Json => proconsul_hcl::read_json(text),
    }
    .map_err(failed)?;
    let document = deprecated::without_dropped_keys(document, warnings);
    let mut raw = raw::read(&document, TOP).map_err(|fault| failed(fault.report()))?;
    warnings.extend(deprecated::keys(&mut raw));
    Ok(Some(raw))
}
