//! `config check | show | default`.

use crate::{
    cli::{ConfigCommand, Failure, Files, say, warn},
    config::{self, Loaded},
};
use serde_json::{Value, json};
use std::{ffi::OsString, process::ExitCode};

/// Carries it out.
///
/// # Errors
/// [`Failure::Usage`] with everything that is wrong.
pub fn config(
    command: &ConfigCommand,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Check { files, json: false } => {
            load(files, variables)?;
            say("the configuration is good");
        }
        ConfigCommand::Check { files, json: true } => return check_as_json(files, variables),
        ConfigCommand::Show { files, json } => show(&load(files, variables)?, *json),
        ConfigCommand::Default => say(config::default_file().trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The exit code is that of the plain check.
fn check_as_json(
    files: &Files,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<ExitCode, Failure> {
    let loaded = config::load(&files.clone().sources(variables));
    let (problems, warnings) = match &loaded {
        Ok(loaded) => (Vec::new(), loaded.warnings.iter().map(ToString::to_string).collect()),
        Err(error) => (error.problems.iter().map(problem).collect(), Vec::new()),
    };
    let answer = json!({ "good": loaded.is_ok(), "problems": problems, "warnings": warnings });
    say(&format!("{answer:#}"));
    Ok(loaded.map_or_else(|error| Failure::from(error).exit_code(), |_| ExitCode::SUCCESS))
}

fn problem(problem: &config::Problem) -> Value {
    json!({
        "key": problem.key,
        "value": problem.value,
        "source": problem.origin.to_string(),
        "message": problem.rule,
    })
}

fn load(files: &Files, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Loaded, Failure> {
    let loaded = config::load(&files.clone().sources(variables))?;
    loaded.warnings.iter().for_each(|warning| warn(&format!("warning: {warning}")));
    Ok(loaded)
}

fn show(loaded: &Loaded, json: bool) {
    let rows = config::effective(loaded);
    if json {
        let text = serde_json::to_string_pretty(&rows).expect("rows are texts");
        return say(&text);
    }
    let settings: Vec<_> = rows
        .iter()
        .map(|row| match &row.value {
            Some(value) => format!("{} = {value}", row.key),
            None => format!("# {} is not set", row.key),
        })
        .collect();
    let width = settings.iter().map(|setting| setting.chars().count()).max().unwrap_or(0).min(60);
    for (setting, row) in settings.iter().zip(&rows) {
        say(&format!("{setting:width$}  # {}", row.source));
    }
}
