//! Plays scripts against the real Consul and writes its answers into them.
//!
//! `cargo run -p proconsul-conformance --bin record [FILE…]`; without a file, all of `fixtures/http`.
//! `--check` compares instead: the real program against what was recorded of it (shows what varies from run to run).

use std::{env, fs, path::PathBuf, process::ExitCode};

use proconsul_conformance::{
    fixtures, play,
    script::Script,
    subject::{Kind, Mode, Setup, Subject},
};

fn main() -> ExitCode {
    let (flags, files): (Vec<String>, Vec<String>) =
        env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let check = flags.iter().any(|flag| flag == "--check");
    let files = if files.is_empty() {
        fixtures::scripts(&fixtures::folder()).expect("the fixtures can be listed")
    } else {
        files.into_iter().map(PathBuf::from).collect()
    };
    let mut failed = 0;
    for file in &files {
        let done = if check { compare(file) } else { record(file) };
        match done {
            Ok(misses) => println!("{}: {misses}", file.display()),
            Err(why) => {
                failed += 1;
                println!("{}: {why}", file.display());
            }
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(file: &PathBuf) -> Result<(Script, Subject), String> {
    let script = Script::parse(&fs::read_to_string(file).map_err(|e| e.to_string())?)?;
    let mut subject = Subject::start(play::setup(&script, Setup::of(Kind::Consul, Mode::Disk)))?;
    subject.settle()?;
    Ok((script, subject))
}

fn record(file: &PathBuf) -> Result<String, String> {
    let (mut script, subject) = read(file)?;
    play::record(&mut script, &subject)?;
    fs::write(file, script.print()).map_err(|e| e.to_string())?;
    Ok(format!("{} exchanges recorded", script.exchanges.len()))
}

fn compare(file: &PathBuf) -> Result<String, String> {
    let (script, subject) = read(file)?;
    let misses = play::replay(&script, &subject)?;
    if misses.is_empty() {
        return Ok(format!("{} exchanges are as recorded", script.exchanges.len()));
    }
    Err(format!("{misses:#?}"))
}
