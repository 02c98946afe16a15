//! `kkt-adapter serve`: starts, says where it is and that nothing is fiscal, and runs until it is told to stop.

use super::{App, parts::Ended, supervisor::Supervisor};
use crate::{
    config::{self, Config, Loaded, LogFormat, Role, Sources},
    telemetry::{self, LogHandle},
};
use anyhow::{Context, bail};
use std::{io::Write, net::SocketAddr};
use tokio::signal::unix::{SignalKind, signal};

/// Serves until SIGTERM or SIGINT, or until its storage fails or a task dies that is to run for ever: then part of it works no
/// more, and a new start, which checks the file, serves sooner than a person could come. SIGHUP reads the configuration again.
///
/// # Errors
/// What kept it from starting, what the storage said when it failed, or which task died.
pub async fn serve(loaded: Loaded, sources: &Sources) -> anyhow::Result<()> {
    let config = &loaded.config;
    let json = config.telemetry.log_format == LogFormat::Json;
    let log = telemetry::start_log(&config.telemetry.log, json)?;
    warn(&loaded.warnings);
    // Before anything is started, so that a signal during the start is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let supervisor = Supervisor::from_environment();
    // Nothing was taken yet, so whatever the start is at, a check of a large buffer say, may be left where it is.
    let mut app = tokio::select! {
        app = App::start(config) => app?,
        _ = terminate.recv() => return stopped_while_starting("SIGTERM"),
        _ = interrupt.recv() => return stopped_while_starting("SIGINT"),
        never = supervisor.starting() => match never {},
    };
    if !app.fiscal() {
        tracing::warn!("NOT FISCAL / НЕ ФИСКАЛЬНЫЙ: the KKT is emulated; nothing here is a legal receipt");
    }
    // A closed standard output is no reason not to serve.
    let _ = std::io::stdout().write_all(welcome(&app, config).as_bytes());
    supervisor.ready();
    let stop = loop {
        tokio::select! {
            _ = terminate.recv() => break Ok("SIGTERM"),
            _ = interrupt.recv() => break Ok("SIGINT"),
            _ = hang_up.recv() => reload(&app, sources, &log, &loaded),
            ended = app.ended() => break Err(ended),
            () = supervisor.beats() => {}
        }
    };
    match &stop {
        Ok(signal) => tracing::info!("{signal}: stopping"),
        Err(Ended::Storage(error)) => tracing::error!(%error, "the buffer's storage has failed: stopping"),
        Err(Ended::Task(task)) => tracing::error!(
            task,
            alarm = "task_died",
            "part of the adapter does not work any more, by a defect of the program: stopping, to be started anew"
        ),
    }
    supervisor.stopping();
    app.stop().await;
    tracing::info!("stopped");
    // The service manager starts it again.
    match stop {
        Ok(_) => Ok(()),
        Err(Ended::Storage(error)) => {
            bail!("the buffer's storage has failed: {error}; the next start checks it")
        }
        Err(Ended::Task(task)) => {
            bail!("part of the adapter died of a defect of the program ({task}); start it anew")
        }
    }
}

fn stopped_while_starting(name: &str) -> anyhow::Result<()> {
    tracing::info!("{name}: stopped while starting");
    Ok(())
}

/// Takes over what can change while it runs. A configuration with a fault changes nothing.
fn reload(app: &App, sources: &Sources, log: &LogHandle, at_start: &Loaded) {
    let loaded = match config::load(sources) {
        Ok(loaded) => loaded,
        Err(error) => return tracing::error!(%error, "SIGHUP: the configuration stays as it was"),
    };
    warn(&loaded.warnings);
    for key in loaded.needing_restart(at_start) {
        tracing::warn!(key, "SIGHUP: this setting has changed and takes effect by a restart only");
    }
    let taken = app.reload(&loaded.config).and_then(|()| Ok(log.set_filter(&loaded.config.telemetry.log)?));
    match taken {
        Ok(()) => {
            tracing::info!("SIGHUP: tokens, TLS certificate, breaker numbers and log level are taken over")
        }
        Err(error) => tracing::error!(%error, "SIGHUP: not everything could be taken over"),
    }
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// How curl reaches the adapter, and at which address: such commands can be pasted on its machine.
fn example(config: &Config, address: SocketAddr) -> (String, String) {
    let mut curl = "curl -s".to_owned();
    let mut scheme = "http";
    if config.tls.is_some() {
        // A private CA is not among those that curl trusts.
        curl += " --cacert CA.pem";
        scheme = "https";
    }
    let tokens = &config.auth.tokens;
    if let Some(token) = tokens.iter().find(|token| token.role == Role::Operator).or(tokens.first()) {
        curl += &format!(" -H \"Authorization: Bearer $(cat '{}')\"", token.token_file.path().display());
    }
    // A certificate has names, and nobody is called by an address that means all.
    let by_name = config.tls.is_some() || address.ip().is_unspecified();
    let host = match config.server.allowed_hosts.first() {
        Some(name) if by_name => name.clone(),
        _ if address.ip().is_unspecified() => format!("127.0.0.1:{}", address.port()),
        _ => address.to_string(),
    };
    (curl, format!("{scheme}://{host}"))
}

fn welcome(app: &App, config: &Config) -> String {
    let (curl, api) = example(config, app.address());
    let mut text = format!(
        "kkt-adapter {}\n\n  API     {}\n  buffer  {}\n  KKT     virtual\n",
        env!("CARGO_PKG_VERSION"),
        app.url(),
        config.buffer.path().display(),
    );
    if app.is_simulated() {
        text += &format!("  OFD     embedded simulator at {}\n", app.ofd_url());
    } else {
        text += &format!("  OFD     {}\n", app.ofd_url());
    }
    if !app.fiscal() {
        text += "\nNOT FISCAL / НЕ ФИСКАЛЬНЫЙ: nothing here is a legal receipt.\n";
    }
    text += &format!(
        "\nSell something:\n\n  {curl} {api}/v1/kkt/receipt -H 'Content-Type: application/json' \
         -H \"Idempotency-Key: $(date +%s%N)\" -d '{}'\n",
        r#"{"pos_id":"POS-001","type":"sale","items":[{"name":"Оправа","price":"100.00","quantity":2,"total":"200.00","vat_rate":22}],"payments":[{"type":"cash","amount":"200.00"}]}"#
    );
    if app.is_simulated() {
        text += &format!(
            "\nBreak the OFD, look, and mend it:\n\n  \
             curl -s -X PUT {ofd}/sim/faults -d '{{\"fault\":\"fail\",\"status\":503}}'\n  \
             {curl} {api}/v1/health\n  \
             curl -s -X DELETE {ofd}/sim/faults\n",
            ofd = app.ofd_url()
        );
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, address: &str) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kkt.toml");
        std::fs::write(folder.path().join("token"), "0123456789abcdef").unwrap();
        std::fs::write(&file, text.replace("FOLDER", folder.path().to_str().unwrap())).unwrap();
        let config = config::load(&Sources { file: Some(file), ..Sources::default() }).unwrap().config;
        let (curl, api) = example(&config, address.parse().unwrap());
        (curl.replace(folder.path().to_str().unwrap(), "FOLDER"), api)
    }

    #[test]
    fn what_is_printed_at_the_start_can_be_pasted() {
        let plain = ("curl -s".into(), "http://127.0.0.1:8000".into());
        assert_eq!(shown("", "127.0.0.1:8000"), plain);
        let token =
            "[auth]\ntokens = [{ name = \"ops\", role = \"operator\", token_file = \"FOLDER/token\" }]\n";
        let bearer = "curl -s -H \"Authorization: Bearer $(cat 'FOLDER/token')\"";
        assert_eq!(shown(token, "0.0.0.0:8000"), (bearer.into(), "http://127.0.0.1:8000".into()));
        let named = format!("{token}[server]\nallowed_hosts = [\"till-1.shop.local:8000\"]\n");
        assert_eq!(shown(&named, "0.0.0.0:8000").1, "http://till-1.shop.local:8000");
        assert_eq!(shown(&named, "127.0.0.1:8000").1, "http://127.0.0.1:8000");
    }
}
