//! `kkt-adapter serve`: starts, says where it is and that nothing is fiscal, and runs until it is told to stop.

use super::{App, supervisor::Supervisor};
use crate::{
    config::{self, Config, Loaded, LogFormat, Sources, Values},
    telemetry::{self, LogHandle},
};
use anyhow::Context;
use std::io::Write;
use tokio::signal::unix::{SignalKind, signal};

/// Serves until SIGTERM or SIGINT; SIGHUP reads the configuration again.
///
/// # Errors
/// What kept it from starting.
pub async fn serve(loaded: Loaded, sources: &Sources) -> anyhow::Result<()> {
    let Loaded { config, warnings, values } = loaded;
    let json = config.telemetry.log_format == LogFormat::Json;
    let log = telemetry::start_log(&config.telemetry.log, json)?;
    warn(&warnings);
    // Before anything is started, so that a signal during the start is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let app = App::start(&config).await?;
    if !app.fiscal() {
        tracing::warn!("NOT FISCAL / НЕ ФИСКАЛЬНЫЙ: the KKT is emulated; nothing here is a legal receipt");
    }
    // A closed standard output is no reason not to serve.
    let _ = std::io::stdout().write_all(welcome(&app, &config).as_bytes());
    let supervisor = Supervisor::from_environment();
    supervisor.ready();
    let name = loop {
        tokio::select! {
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            _ = hang_up.recv() => reload(&app, sources, &log, &values),
            () = supervisor.beats() => {}
        }
    };
    tracing::info!("{name}: stopping");
    supervisor.stopping();
    app.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Takes over what can change while it runs. A configuration with a fault changes nothing.
fn reload(app: &App, sources: &Sources, log: &LogHandle, at_start: &Values) {
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

fn welcome(app: &App, config: &Config) -> String {
    let api = app.url();
    // A private CA is not among those that curl trusts.
    let curl = if config.tls.is_some() { "curl -s --cacert CA.pem" } else { "curl -s" };
    let mut text = format!(
        "kkt-adapter {}\n\n  API     {api}\n  buffer  {}\n  KKT     virtual\n",
        env!("CARGO_PKG_VERSION"),
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
